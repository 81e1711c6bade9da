package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/diffusioninst/go/annotation"
	"github.com/diffusioninst/go/coco"
)

// evalOptions are the flags of the eval command.
type evalOptions struct {
	annotationFlags
	match             matchingFlags
	truth, detections string  // files; detections is empty if they were just made
	chooseDetections  string  // on the data set of --choose-score
	images            []int64 // ids of the images to evaluate; nil for all
	iou               []string
	style             string
	maxDets           []int
	maskAreas         bool
	perClass          bool
	plots             string
	json              bool
}

func newEvalCommand() *cobra.Command {
	var o evalOptions
	cmd := &cobra.Command{
		Use:   "eval --gt FILE --dets FILE",
		Short: "Compare detections with a data set: average precision of COCO or LVIS",
		Long: `Compare detections with a data set and print average precisions and recalls.

The numbers equal the COCO API's, or with --style lvis the LVIS API's.
--iou boundary is the boundary IoU of Cheng et al. (arXiv 2103.16562).

Every picture of the data set counts: objects in pictures without detections are
missed ones. Detections in another format become results with convert.`,
		Example: `  diffusioninst eval --gt instances_val2017.json --dets results.json --iou segm,bbox
  diffusioninst eval --gt val.json --dets val_dets.json --choose-score train.json --choose-dets train_dets.json --kinds kinds.csv
  diffusioninst eval --gt lvis_v1_val.json --dets results.json --style lvis --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runEval(cmd, o) },
	}
	o.add(cmd)
	cmd.Flags().StringVar(&o.detections, "dets", "", "detections: a results file of COCO, such as segment writes")
	cmd.Flags().StringVar(&o.chooseDetections, "choose-dets", "", "detections on the data set of --choose-score")
	_ = cmd.MarkFlagRequired("dets")
	cmd.MarkFlagsRequiredTogether("choose-score", "choose-dets")
	return cmd
}

// add adds the flags of every command that prints metrics.
func (o *evalOptions) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.truth, "gt", "", "data set with the true objects: a file of COCO or LVIS, or another format that convert reads")
	o.annotationFlags.add(cmd)
	o.match.add(cmd)
	f.StringSliceVar(&o.iou, "iou", []string{"segm"}, "what to compare: segm (masks), bbox (boxes) or boundary (outlines of masks); several separated by commas")
	f.StringVar(&o.style, "style", "coco", "rules of the comparison: coco or lvis")
	f.IntSliceVar(&o.maxDets, "max-dets", nil, "how many detections count, the surest first (default 1,10,100 per picture and class; lvis: 300 per picture; in test a larger --limit is the last)")
	f.BoolVar(&o.maskAreas, "mask-areas", false, "group detections into small, medium and large by their masks, as Detectron2 does for segm, not by their boxes")
	f.BoolVar(&o.perClass, "per-class", false, "also print the numbers of each class")
	f.StringVar(&o.plots, "plots", "", "folder for precision-recall curves and the error breakdown, as PNG and JSON")
	f.BoolVar(&o.json, "json", false, "print one JSON object")
	_ = cmd.MarkFlagRequired("gt")
}

func runEval(cmd *cobra.Command, o evalOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	ctx := cmd.Context()
	locks, err := lockOutputs(o.plots)
	if err != nil {
		return err
	}
	defer locks.Close()
	warn := warner(cmd)
	annotations := o.annotations("", warn)
	data, results, err := o.read(ctx, o.truth, o.detections, annotations)
	if err != nil {
		return err
	}
	warnOfAreas(o.truth, data, warn)
	if err := o.match.warn(data, warn); err != nil {
		return err
	}
	if all := allDetections(-1, o.style, results); len(o.maxDets) == 0 && all != nil {
		warn("a picture has %d detections, of which the rules count the surest %d: --max-dets %s counts all", all[len(all)-1], usualDetections(o.style),
			strings.Trim(strings.ReplaceAll(fmt.Sprint(all), " ", ","), "[]"))
	}
	// Detections of which none fits are an error below.
	if n := withoutDetections(data, results); n > 0 && (n < len(data.Images) || len(results) == 0) {
		fmt.Fprintf(cmd.ErrOrStderr(), "%d of %d pictures have no detections\n", n, len(data.Images))
	}
	if o.match.chooseTruth != "" {
		if err := o.chooseFromFile(cmd, annotations); err != nil {
			return err
		}
	}
	return o.evaluate(ctx, cmd, data, results)
}

// read reads a data set and detections on it.
func (o evalOptions) read(ctx context.Context, truth, detections string, annotations annotation.Options) (*coco.Dataset, []coco.Result, error) {
	o.truth, o.detections = truth, detections
	data, err := await(ctx, func() (*coco.Dataset, error) {
		set, err := annotation.Open(o.truth, annotations)
		if err != nil {
			err = o.explain(err)
			if o.match.on() && !o.comparesMasks() {
				err = fmt.Errorf("%w; --matching, --at-score, --choose-score, --sizes and --kinds compare masks, also beside --iou bbox", err)
			}
			return nil, err
		}
		if err := set.Data.CheckCrowds(); err != nil {
			return nil, fmt.Errorf("%s: %w", o.truth, err)
		}
		return set.Data, nil
	})
	if err != nil {
		return nil, nil, err
	}
	results, err := await(ctx, func() ([]coco.Result, error) {
		results, err := loadResults(o.detections, data, coco.CleanOptions{Masks: o.masks(), Boxes: !o.masks()}, annotations)
		if err != nil {
			return nil, notResults(err, o)
		}
		return results, nil
	})
	return data, results, err
}

// chooseFromFile chooses the score on the data set of --choose-score.
func (o *evalOptions) chooseFromFile(cmd *cobra.Command, annotations annotation.Options) error {
	annotations.Limit = 0
	data, results, err := o.read(cmd.Context(), o.match.chooseTruth, o.chooseDetections, annotations)
	if err != nil {
		return err
	}
	return o.match.choose(cmd.Context(), cmd.ErrOrStderr(), data, results, nil)
}

// notResults adds to an error of reading detections how a file in another format becomes
// results.
func notResults(err error, o evalOptions) error {
	format, unknown := annotation.Recognize(o.detections)
	if unknown != nil || format == "results" {
		return err
	}
	return fmt.Errorf("--dets %s is in the format %s, not results: first run\n  diffusioninst convert --gt %s --to results %s results.json\n(%w)",
		o.detections, format, o.truth, o.detections, err)
}

// withoutDetections counts the images of a data set that no result is of.
func withoutDetections(data *coco.Dataset, results []coco.Result) int {
	with := map[int64]bool{}
	for i := range results {
		with[results[i].ImageID] = true
	}
	n := 0
	for i := range data.Images {
		if !with[data.Images[i].ID] {
			n++
		}
	}
	return n
}

// annotations returns how the data set is read.
func (o evalOptions) annotations(images string, warn func(string, ...any)) annotation.Options {
	out := o.options(images, o.masks(), warn)
	out.Boxes = !o.masks()
	return out
}

// warnOfAreas says that areas of a data set are not what objects are sorted by.
func warnOfAreas(file string, data *coco.Dataset, warn func(string, ...any)) {
	if problems := data.InvalidAreas(); len(problems) > 0 {
		warn("%s: %d annotations have an area that is not a number from 0 up (the first: %v): that of the mask or the box is taken", file, len(problems), problems[0])
	}
}

// masks reports whether masks are compared.
func (o evalOptions) masks() bool {
	return o.match.on() || o.comparesMasks()
}

// comparesMasks reports whether --iou asks for more than boxes.
func (o evalOptions) comparesMasks() bool {
	return slices.ContainsFunc(o.iou, func(name string) bool { return name != "bbox" })
}

// check refuses unknown names.
func (o evalOptions) check() error {
	if err := o.annotationFlags.check(); err != nil {
		return err
	}
	style := coco.Style(o.style)
	if style != coco.COCO && style != coco.LVIS {
		return fmt.Errorf("--style %s: not coco or lvis", o.style)
	}
	kinds := []coco.IoU{coco.Segm, coco.BBox, coco.Boundary}
	for _, name := range o.iou {
		if !slices.Contains(kinds, coco.IoU(name)) {
			return fmt.Errorf("--iou %s: not segm, bbox or boundary", name)
		}
	}
	return o.match.check(o.style)
}

// evaluate compares results with a data set, and prints and plots the numbers.
func (o evalOptions) evaluate(ctx context.Context, cmd *cobra.Command, data *coco.Dataset, results []coco.Result) error {
	match, err := o.match.options(data)
	if err != nil {
		return err
	}
	reports, kinds := make([]*coco.Report, len(o.iou)), make([]map[string]*coco.Report, len(o.iou))
	for i, name := range o.iou {
		if reports[i], kinds[i], err = o.compare(ctx, name, data, results, match.Kind); err != nil {
			if i > 0 && !o.json {
				err = stopped(err, "stopped after %d of %s", i, counted(len(o.iou), "comparison"))
			}
			return err
		}
		if o.json {
			continue
		}
		if i > 0 {
			fmt.Fprintln(cmd.OutOrStdout())
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s, %s, percent\n", name, strings.ToUpper(o.style))
		if err := reports[i].WriteText(cmd.OutOrStdout(), o.perClass); err != nil {
			return err
		}
		if err := writeKinds(cmd.OutOrStdout(), kinds[i]); err != nil {
			return err
		}
	}
	matching, err := o.matching(ctx, data, results, match)
	if err != nil {
		return err
	}
	if o.json {
		return writeEvalJSON(cmd.OutOrStdout(), o, reports, kinds, matching)
	}
	if matching != nil {
		fmt.Fprintf(cmd.OutOrStdout(), "\nmatching from a score of %v, percent\n", matching.Score)
		return matching.WriteText(cmd.OutOrStdout(), o.perClass)
	}
	return nil
}

// compare evaluates by one kind of IoU, all pictures and, if kind is not nil, those of each kind, and plots.
func (o evalOptions) compare(ctx context.Context, iou string, data *coco.Dataset, results []coco.Result, kind func(*coco.Image) string) (*coco.Report, map[string]*coco.Report, error) {
	options := coco.Options{IoU: coco.IoU(iou), Style: coco.Style(o.style), MaxDets: o.maxDets, MaskAreas: o.maskAreas, Images: o.images}
	report, err := coco.Evaluate(ctx, data, results, options)
	if err != nil {
		return nil, nil, evalError(err, o)
	}
	var kinds map[string]*coco.Report
	if kind != nil {
		kinds, err = o.byKind(ctx, data, results, options, kind)
	}
	if err != nil || o.plots == "" {
		return report, kinds, err
	}
	breakdown, err := coco.Analyze(ctx, data, results, options)
	if err != nil {
		return nil, nil, evalError(err, o)
	}
	return report, kinds, plotEval(o.plots, iou, report, breakdown, o.perClass)
}

// evalError names the files that do not fit each other.
func evalError(err error, o evalOptions) error {
	var problems coco.Problems
	switch {
	case !errors.As(err, &problems):
		return err
	case o.detections == "":
		return fmt.Errorf("%s: %w", o.truth, err)
	}
	return fmt.Errorf("%s does not fit %s: %w", o.detections, o.truth, err)
}

// writeEvalJSON writes {"segm": {"AP": …}, …, "matching": {…}}.
func writeEvalJSON(w io.Writer, o evalOptions, reports []*coco.Report, kinds []map[string]*coco.Report, matching *coco.Matching) error {
	out := map[string]any{}
	for i, name := range o.iou {
		text, err := json.Marshal(reports[i])
		if err != nil {
			return err
		}
		fields := map[string]json.RawMessage{}
		if err := json.Unmarshal(text, &fields); err != nil {
			return err
		}
		if o.perClass {
			if fields["per_category"], err = json.Marshal(reports[i].Categories); err != nil {
				return err
			}
		}
		if len(kinds[i]) > 0 {
			if fields["kinds"], err = json.Marshal(kindFields(kinds[i])); err != nil {
				return err
			}
		}
		out[name] = fields
	}
	if matching != nil {
		out["matching"] = matching
	}
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(out)
}
