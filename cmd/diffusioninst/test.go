//go:build cgo

package main

import (
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
)

func init() { modelCommands = append(modelCommands, newTestCommand) }

// testOptions are the flags of the test command.
type testOptions struct {
	model      modelFlags
	eval       evalOptions
	pictures   string
	detections string
	views      []string
}

func newTestCommand() *cobra.Command {
	var o testOptions
	cmd := &cobra.Command{
		Use:   "test --weights FILE --gt FILE --images FOLDER",
		Short: "Run a model over a data set and print its average precision",
		Long: `Run a model over the pictures of a data set and print average precisions and recalls,
as eval does. The picture with id i gets the noise of seed + i.

The model's classes are matched with the data set's categories by name or, if no name
fits and there are as many, in the order of the category ids. A picture that is missing,
broken or of another size than the data set says is an error, or left out with
--on-error skip. Of a data.yaml of YOLO the split val is taken.`,
		Example: `  diffusioninst test --weights model.pth --gt instances_val2017.json --images val2017 --iou segm,bbox
  diffusioninst test --weights model.pth --gt lvis_v1_val.json --images coco --style lvis --steps 4 --dets results.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runTest(cmd, &o) },
	}
	o.model.add(cmd)
	o.eval.add(cmd)
	addTestFlags(cmd, &o.model, &o.pictures, &o.eval.limitImages)
	cmd.Flags().StringVar(&o.detections, "dets", "", "file to write the detections to, as COCO results")
	addViewsFlag(cmd, &o.views)
	return cmd
}

// addTestFlags adds the flags of commands that run over a data set. Average precision needs
// many detections, also of low scores.
func addTestFlags(cmd *cobra.Command, m *modelFlags, pictures *string, limitImages *int) {
	f := cmd.Flags()
	f.StringVar(pictures, "images", "", "folder of the data set's pictures (default: beside the annotations)")
	f.IntVar(limitImages, "limit-images", 0, "use this many pictures, the first ones (default: all)")
	score, limit := f.Lookup("score"), f.Lookup("limit")
	m.options.Score, score.DefValue = 0.05, "0.05"
	limit.Usage = "most detections per picture; negative for all (default: 100; lvis: 300)"
}

// testLimit returns how many detections of a picture count, negative for all.
func testLimit(m *modelFlags, style string) int {
	switch {
	case m.set("limit") && m.options.Limit != 0:
		return m.options.Limit
	case coco.Style(style) == coco.LVIS:
		return 300
	}
	return 100
}

func runTest(cmd *cobra.Command, o *testOptions) error {
	if err := o.eval.check(); err != nil {
		return err
	}
	var err error
	if o.model.options.Augment, err = parseViews(o.views); err != nil {
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
	annotations := o.eval.annotations(picturesOf(o.pictures, o.eval.truth), warn)
	annotations.Split = "val"
	set, err := openSet(cmd.Context(), o.eval.truth, annotations)
	if err != nil {
		return o.eval.explain(err)
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
	options := o.model.options
	options.Limit = testLimit(&o.model, o.eval.style)
	bar := progress(cmd.ErrOrStderr(), len(set.Images))
	var notes pictureNotes
	segment := func(ctx context.Context, img image.Image, o diffusioninst.Options) (*diffusioninst.Result, error) {
		result, err := model.Segment(ctx, img, o)
		if err == nil {
			notes.add("range", "a picture", withFlag(result.Warning))
		}
		return result, err
	}
	done := 0
	results, took, stop := set.Run(cmd.Context(), segment, options, func() {
		done++
		_ = bar.Add(1)
	})
	_ = bar.Finish()
	notes.warn(warn)
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
	// What is finished is evaluated even if the command is being stopped.
	if err := o.eval.evaluate(context.WithoutCancel(cmd.Context()), cmd, set.Data, results); err != nil {
		return errors.Join(stop, err)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s, %s, %v per picture\n", counted(done, "picture"), counted(len(results), "detection"), (took / time.Duration(done)).Round(time.Millisecond/10))
	return stop
}

// openSet is evaluation.OpenAnnotations, which ctx can interrupt.
func openSet(ctx context.Context, path string, o annotation.Options) (*evaluation.Set, error) {
	return await(ctx, func() (*evaluation.Set, error) { return evaluation.OpenAnnotations(path, o) })
}
