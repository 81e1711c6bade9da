//go:build cgo

package main

import (
	"errors"
	"fmt"
	"image"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/evaluation"
	"github.com/diffusioninst/go/picture"
	"github.com/diffusioninst/go/sampler"
)

func init() { modelCommands = append(modelCommands, newSweepCommand) }

// sweepOptions are the flags of the sweep command.
type sweepOptions struct {
	model modelFlags
	annotationFlags
	truth, images    string
	pictures         pictureFlags
	iou, style       string
	samplers         []string
	steps, proposals []int
	out              string
}

func newSweepCommand() *cobra.Command {
	var o sweepOptions
	cmd := &cobra.Command{
		Use:   "sweep --weights FILE --gt FILE [--images FOLDER] --out FOLDER",
		Short: "Compare samplers, steps and proposals on a data set",
		Long: `Run a model over a data set with every combination of samplers, numbers of steps and
numbers of proposals, and compare average precision and time.

The samplers are ` + strings.Join(samplerNames, ", ") + `. A number after
ddim or dpm++2m is its η: ddim:0, dpm++2m:0.5.

The output folder gets sweep.json with all metrics and sweep.png, a plot of AP over
time. Each combination is saved when it ends: the same command continues where it was
stopped, and a command with further combinations adds them. A folder with numbers of
other settings (model, data, score, seed, device, …) is refused.`,
		Example: `  diffusioninst sweep --weights model.pth --gt instances_val2017.json --images val2017 --limit-images 500 \
      --samplers ddim,dpm++2m,restart --steps 1,2,4 --proposals 100,300,500 --out sweep/`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runSweep(cmd, &o) },
	}
	o.model.addLoading(cmd)
	o.model.set = func(name string) bool { return name != "steps" && name != "proposals" && cmd.Flags().Changed(name) }
	addTestFlags(cmd, &o.model, &o.images, &o.pictures, &o.limitImages)
	f := cmd.Flags()
	o.model.addScales(cmd)
	o.annotationFlags.add(cmd)
	f.StringVar(&o.truth, "gt", "", "data set with the true objects: a file of COCO or LVIS, or another format that convert reads")
	f.StringVar(&o.iou, "iou", "segm", "what to compare: segm (masks), bbox (boxes) or boundary (outlines of masks)")
	f.StringVar(&o.style, "style", "coco", "rules of the comparison: coco or lvis")
	f.StringSliceVar(&o.samplers, "samplers", []string{"ddim"}, "samplers to compare")
	f.IntSliceVar(&o.steps, "steps", []int{1, 2, 4}, "numbers of denoising steps")
	f.IntSliceVar(&o.proposals, "proposals", nil, "numbers of boxes that are denoised at once (default: the model's, usually 500)")
	f.StringVar(&o.out, "out", "", "folder for sweep.json and sweep.png")
	for _, name := range []string{"gt", "out"} {
		_ = cmd.MarkFlagRequired(name)
	}
	return cmd
}

// A combination is one way to sample.
type combination struct {
	sampler          sampler.Sampler
	steps, proposals int
}

func (c combination) String() string {
	return fmt.Sprintf("%v, %s, %s", c.sampler, counted(c.steps, "step"), counted(c.proposals, "proposal"))
}

// combinations returns the combinations of the flags, each once. 0 proposals stand for the
// model's number.
func (o *sweepOptions) combinations() ([]combination, error) {
	if len(o.proposals) == 0 {
		o.proposals = []int{0}
	} else if least := slices.Min(o.proposals); least < 1 {
		return nil, fmt.Errorf("--proposals %d: at least 1 is required", least)
	}
	var out []combination
	for _, name := range o.samplers {
		s, err := parseSampler(name)
		if err != nil {
			return nil, fmt.Errorf("--samplers: %w", err)
		}
		for _, steps := range o.steps {
			if steps < 1 {
				return nil, fmt.Errorf("--steps %d: at least 1 is required", steps)
			}
			for _, proposals := range o.proposals {
				if c := (combination{s, steps, proposals}); !slices.Contains(out, c) {
					out = append(out, c)
				}
			}
		}
	}
	if len(out) == 0 {
		return nil, errors.New("--samplers and --steps must not be empty")
	}
	return out, nil
}

func runSweep(cmd *cobra.Command, o *sweepOptions) error {
	metrics := evalOptions{annotationFlags: o.annotationFlags, truth: o.truth, iou: []string{o.iou}, style: o.style}
	if err := metrics.check(); err != nil {
		return err
	}
	combinations, err := o.combinations()
	if err != nil {
		return err
	}
	choice, err := o.pictures.one()
	if err != nil {
		return err
	}
	locks, err := lockOutputs(o.out)
	if err != nil {
		return err
	}
	defer locks.Close()
	warn := warner(cmd)
	annotations := metrics.annotations(picturesOf(o.images, o.truth), warn)
	annotations.Split = "val"
	set, err := openSet(cmd.Context(), o.truth, annotations)
	if err != nil {
		return o.explain(err)
	}
	warnOfAreas(o.truth, set.Data, warn)
	model, err := o.model.load(cmd)
	if err != nil {
		return err
	}
	defer model.Close()
	if err := set.Match(model.Config().Classes, warn); err != nil {
		return err
	}
	o.model.options.Limit = testLimit(&o.model, o.style)
	var notes pictureNotes
	set.Pictures = choice
	set.Pictures.Normalize = o.model.normalize(model.Config())
	set.Remark = func(m evaluation.Image, p *picture.Picture) { notes.printFirst(cmd.ErrOrStderr(), m.FileName, p) }
	settings, err := await(cmd.Context(), func() (map[string]string, error) { return o.settings(model, set) })
	if err != nil {
		return err
	}
	log, err := openSweepLog(filepath.Join(o.out, "sweep.json"), settings)
	if err != nil {
		return err
	}
	for i := range combinations {
		if combinations[i].proposals == 0 {
			combinations[i].proposals = model.Config().Proposals
		}
	}
	stop := o.fill(cmd, log, combinations, set, model)
	if stop != nil {
		all := len(combinations)
		combinations = slices.DeleteFunc(combinations, func(c combination) bool { return log.find(c) == nil })
		stop = stopped(stop, "stopped after %d of %s: the same command continues", len(combinations), counted(all, "combination"))
		if len(combinations) == 0 {
			return stop
		}
	}
	if err := plotSweep(filepath.Join(o.out, "sweep.png"), log); err != nil {
		return errors.Join(stop, err)
	}
	return errors.Join(stop, printSweep(cmd, log, combinations))
}

// fill runs the combinations that are not in the log.
func (o *sweepOptions) fill(cmd *cobra.Command, log *sweepLog, combinations []combination, set *evaluation.Set, model *diffusioninst.Model) error {
	left := slices.DeleteFunc(slices.Clone(combinations), func(c combination) bool { return log.find(c) != nil })
	if done := len(combinations) - len(left); done > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "%d of %d combinations are already in %s\n", done, len(combinations), log.path)
	}
	if len(left) == 0 {
		return nil
	}
	// The first pass of a model is slower and must not count. If the first picture cannot be read, Run says so.
	var first image.Image = image.NewRGBA(image.Rect(0, 0, 256, 256))
	if p, err := set.Read(set.Images[0]); err == nil {
		first = p
	}
	with := o.model.options
	with.Normalize = picture.None // they are normalized when they are read
	if _, err := model.Segment(cmd.Context(), first, with); err != nil {
		return err
	}
	bar := progress(cmd.ErrOrStderr(), len(left)*len(set.Images))
	for _, c := range left {
		options := with
		sampling := model.Config().Sampling
		sampling.Sampler = c.sampler
		options.Sampling, options.Steps, options.Proposals = &sampling, c.steps, c.proposals
		results, took, err := set.Run(cmd.Context(), model.Segment, options, func() { _ = bar.Add(1) })
		if err != nil {
			_ = bar.Finish()
			return err
		}
		report, err := coco.Evaluate(cmd.Context(), set.Data, results, coco.Options{IoU: coco.IoU(o.iou), Style: coco.Style(o.style), Images: set.IDs(), MaxDets: allDetections(with.Limit, o.style, results)})
		if err != nil {
			return evalError(err, evalOptions{truth: o.truth})
		}
		run := newSweepRun(c, report, len(results), took/time.Duration(len(set.Images)))
		if err := log.add(run); err != nil {
			return err
		}
		_ = bar.Clear()
		fmt.Fprintf(cmd.ErrOrStderr(), "%v: AP %s, %.3g s per picture\n", c, percent(run.Metrics["AP"]), run.Seconds)
	}
	return bar.Finish()
}

// printSweep prints one line for each of the combinations.
func printSweep(cmd *cobra.Command, log *sweepLog, combinations []combination) error {
	t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	columns := []string{"AP", "AP50", "AP75"}
	fmt.Fprintf(t, "sampler\tsteps\tproposals\tAP\tAP50\tAP75\tdetections\tseconds/picture\n")
	for _, c := range combinations {
		run := log.find(c)
		fmt.Fprintf(t, "%s\t%d\t%d", run.Sampler, run.Steps, run.Proposals)
		for _, name := range columns {
			fmt.Fprintf(t, "\t%s", percent(run.Metrics[name]))
		}
		fmt.Fprintf(t, "\t%d\t%.3g\n", run.Detections, run.Seconds)
	}
	return t.Flush()
}
