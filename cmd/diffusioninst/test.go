//go:build cgo

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/diffusioninst/go/annotation"
	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/evaluation"
	"github.com/diffusioninst/go/internal/atomicfile"
	"github.com/diffusioninst/go/picture"
)

func init() { modelCommands = append(modelCommands, newTestCommand) }

// testOptions are the flags of the test command.
type testOptions struct {
	model      modelFlags
	eval       evalOptions
	images     string
	pictures   pictureFlags
	detections string
	views      []string
	choose     string // folder of the pictures of --choose-score
}

func newTestCommand() *cobra.Command {
	var o testOptions
	cmd := &cobra.Command{
		Use:   "test --weights FILE --gt FILE [--images FOLDER]",
		Short: "Run a model over a data set and print its average precision",
		Long: `Run a model over the pictures of a data set and print average precisions and recalls,
as eval does. The picture with id i gets the noise of seed + i.

The model's classes are matched with the data set's categories by name or, if no name
fits and there are as many, in the order of the category ids. A picture that is missing,
broken or of another size than the data set says is an error, or left out with
--on-error skip. Of a data.yaml of YOLO the split val is taken.`,
		Example: `  diffusioninst test --weights model.pth --gt instances_val2017.json --images val2017 --iou segm,bbox
  diffusioninst test --weights builtin:nuclei --gt val.json --images images --limit 500 --choose-score train.json --sizes 100,300,1600
  diffusioninst test --weights model.pth --gt lvis_v1_val.json --images coco --style lvis --steps 4 --dets results.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runTest(cmd, &o) },
	}
	o.model.add(cmd)
	o.eval.add(cmd)
	addTestFlags(cmd, &o.model, &o.images, &o.pictures, &o.eval.limitImages)
	cmd.Flags().StringVar(&o.detections, "dets", "", "file to write the detections to, as COCO results")
	cmd.Flags().StringVar(&o.choose, "choose-images", "", "folder of the pictures of --choose-score (default: that of --images)")
	addViewsFlag(cmd, &o.views)
	return cmd
}

// addTestFlags adds the flags of commands that run over a data set. Average precision needs
// many detections, also of low scores.
func addTestFlags(cmd *cobra.Command, m *modelFlags, images *string, pictures *pictureFlags, limitImages *int) {
	f := cmd.Flags()
	pictures.add(cmd, false)
	f.StringVar(images, "images", "", "folder of the data set's pictures (default: beside the annotations)")
	f.IntVar(limitImages, "limit-images", 0, "use this many pictures, the first ones (default: all)")
	score, limit := f.Lookup("score"), f.Lookup("limit")
	m.options.Score, score.DefValue = 0.05, "0.05"
	limit.Usage = "most detections per picture, which then all count; negative for all (default: 100; lvis: 300)"
}

// testLimit returns how many detections of a picture count, negative for all.
func testLimit(m *modelFlags, style string) int {
	if m.set("limit") && m.options.Limit != 0 {
		return m.options.Limit
	}
	return usualDetections(style)
}

func runTest(cmd *cobra.Command, o *testOptions) error {
	if err := o.eval.check(); err != nil {
		return err
	}
	if err := keepTruth(o.eval.truth, o.detections); err != nil {
		return err
	}
	if err := o.eval.match.above(o.model.options.Score); err != nil {
		return err
	}
	var err error
	if o.model.options.Augment, err = parseViews(o.views); err != nil {
		return err
	}
	if _, err := o.pictures.one(); err != nil {
		return err
	}
	if o.detections != "" {
		if err := atomicfile.CheckOutput(o.detections); err != nil {
			return err
		}
	}
	locks, err := lockOutputs(o.eval.plots)
	if err != nil {
		return err
	}
	defer locks.Close()
	warn := warner(cmd)
	set, err := o.open(cmd, o.eval.truth, o.images, "val", o.eval.limitImages)
	if err != nil {
		return err
	}
	if err := o.eval.match.warn(set.Data, warn); err != nil {
		return err
	}
	var chosen *evaluation.Set // for the score; may be nil
	if o.eval.match.chooseTruth != "" {
		if chosen, err = o.open(cmd, o.eval.match.chooseTruth, cmp.Or(o.choose, o.images), "train", 0); err != nil {
			return err
		}
	}
	warnOfAreas(o.eval.truth, set.Data, warn)
	model, err := o.model.load(cmd)
	if err != nil {
		return err
	}
	defer model.Close()
	if err := set.Match(model.Config().Classes, warn); err != nil {
		return err
	}
	if chosen != nil {
		if err := chosen.Match(model.Config().Classes, warn); err != nil {
			return err
		}
		results, done, _, err := o.run(cmd, model, chosen)
		if err != nil {
			return stopped(err, "stopped after %d of %s on which the score is chosen", done, counted(len(chosen.Images), "picture"))
		}
		if err := o.eval.match.choose(cmd.Context(), cmd.ErrOrStderr(), chosen.Data, results, chosen.IDs()); err != nil {
			return err
		}
	}
	results, done, took, stop := o.run(cmd, model, set)
	if stop != nil {
		stop = stopped(stop, "stopped after %d of %s: what is printed and written is about these", done, counted(len(set.Images), "picture"))
		if done == 0 {
			return stop
		}
	}
	if o.detections != "" {
		if err := atomicfile.Output(cmd.Context(), o.detections, func(w io.Writer) error { return coco.WriteResults(w, results) }); err != nil {
			return errors.Join(stop, err)
		}
	}
	o.eval.images = set.IDs()[:done]
	if len(o.eval.maxDets) == 0 {
		o.eval.maxDets = allDetections(testLimit(&o.model, o.eval.style), o.eval.style, results)
	}
	// What is finished is evaluated even if the command is being stopped.
	if err := o.eval.evaluate(context.WithoutCancel(cmd.Context()), cmd, set.Data, results); err != nil {
		return errors.Join(stop, err)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s, %s, %v per picture in %v\n", counted(done, "picture"), counted(len(results), "detection"),
		(took / time.Duration(done)).Round(time.Millisecond/10), model.Precision())
	return stop
}

// open opens a data set, or of a YOLO one a split. The first limit pictures count, or all for 0.
func (o *testOptions) open(cmd *cobra.Command, truth, pictures, split string, limit int) (*evaluation.Set, error) {
	annotations := o.eval.annotations(picturesOf(pictures, truth), warner(cmd))
	annotations.Split, annotations.Limit = split, limit
	set, err := openSet(cmd.Context(), truth, annotations)
	if err != nil {
		return nil, o.eval.explain(err)
	}
	set.Pictures, err = o.pictures.one()
	return set, err
}

// run segments the pictures of a data set. It also returns how many are done, those that were skipped left out.
func (o *testOptions) run(cmd *cobra.Command, model *diffusioninst.Model, set *evaluation.Set) (results []coco.Result, done int, took time.Duration, err error) {
	options := o.model.options
	options.Limit = testLimit(&o.model, o.eval.style)
	bar := progress(cmd.ErrOrStderr(), len(set.Images))
	var notes pictureNotes
	full := 0
	set.Pictures.Normalize = o.model.normalize(model.Config())
	set.Remark = func(m evaluation.Image, p *picture.Picture) { notes.add(m.FileName, p) }
	options.Normalize = picture.None // they are normalized when they are read
	segment := func(ctx context.Context, img image.Image, o diffusioninst.Options) (*diffusioninst.Result, error) {
		result, err := model.Segment(ctx, img, o)
		if err == nil && len(result.Instances) == options.Limit {
			full++
		}
		return result, err
	}
	all := len(set.Images)
	results, took, err = set.Run(cmd.Context(), segment, options, func() {
		done++
		_ = bar.Add(1)
	})
	done -= all - len(set.Images) // which Run leaves out where they cannot be read
	_ = bar.Finish()
	notes.print(cmd)
	if full > 0 && o.eval.match.on() {
		warner(cmd)("%s reached the limit of %d detections: --limit raises it, so that --matching counts all", counted(full, "picture"), options.Limit)
	}
	return results, done, took, err
}

// openSet is evaluation.OpenAnnotations, which ctx can interrupt.
func openSet(ctx context.Context, path string, o annotation.Options) (*evaluation.Set, error) {
	return await(ctx, func() (*evaluation.Set, error) { return evaluation.OpenAnnotations(path, o) })
}
