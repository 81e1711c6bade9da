package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/diffusioninst/go/coco"
)

// evalOptions are the flags of the eval command.
type evalOptions struct {
	truth, detections string  // detections is empty where they come from no file
	images            []int64 // ids of those to evaluate; nil for all
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

The numbers are those of the COCO API, or of the LVIS API with --style lvis.
--iou boundary is the boundary IoU of Cheng et al. (arXiv 2103.16562).`,
		Example: `  diffusioninst eval --gt instances_val2017.json --dets results.json --iou segm,bbox
  diffusioninst eval --gt lvis_v1_val.json --dets results.json --style lvis --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runEval(cmd, o) },
	}
	o.add(cmd)
	cmd.Flags().StringVar(&o.detections, "dets", "", "results in COCO form")
	_ = cmd.MarkFlagRequired("dets")
	return cmd
}

// add adds the flags of every command that prints metrics.
func (o *evalOptions) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.truth, "gt", "", "data set in COCO or LVIS form")
	f.StringSliceVar(&o.iou, "iou", []string{"segm"}, "what to compare: segm, bbox or boundary; several with commas")
	f.StringVar(&o.style, "style", "coco", "whose rules: coco or lvis")
	f.IntSliceVar(&o.maxDets, "max-dets", nil, "how many detections count (default 1,10,100 of each image and class; lvis: 300 of each image)")
	f.BoolVar(&o.maskAreas, "mask-areas", false, "size detections by their masks, not their boxes, as Detectron2 does for segm")
	f.BoolVar(&o.perClass, "per-class", false, "also the numbers of each class")
	f.StringVar(&o.plots, "plots", "", "folder for precision-recall curves and the error breakdown, as PNG and JSON")
	f.BoolVar(&o.json, "json", false, "print one JSON object")
	_ = cmd.MarkFlagRequired("gt")
}

func runEval(cmd *cobra.Command, o evalOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	data, err := coco.Load(o.truth)
	if err != nil {
		return err
	}
	results, err := coco.LoadResults(o.detections)
	if err != nil {
		return err
	}
	return o.evaluate(cmd, data, results)
}

// check refuses unknown names.
func (o evalOptions) check() error {
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
	return nil
}

// evaluate compares results with a data set and prints and plots what is asked for.
func (o evalOptions) evaluate(cmd *cobra.Command, data *coco.Dataset, results []coco.Result) error {
	var err error
	reports := make([]*coco.Report, len(o.iou))
	for i, name := range o.iou {
		options := coco.Options{IoU: coco.IoU(name), Style: coco.Style(o.style), MaxDets: o.maxDets, MaskAreas: o.maskAreas, Images: o.images}
		if reports[i], err = coco.Evaluate(cmd.Context(), data, results, options); err != nil {
			return evalError(err, o)
		}
		if o.plots == "" {
			continue
		}
		breakdown, err := coco.Analyze(cmd.Context(), data, results, options)
		if err != nil {
			return evalError(err, o)
		}
		if err := plotEval(o.plots, name, reports[i], breakdown, o.perClass); err != nil {
			return err
		}
	}
	if o.json {
		return writeEvalJSON(cmd.OutOrStdout(), o, reports)
	}
	for i, name := range o.iou {
		if i > 0 {
			fmt.Fprintln(cmd.OutOrStdout())
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s, %s, percent\n", name, strings.ToUpper(o.style))
		if err := reports[i].WriteText(cmd.OutOrStdout(), o.perClass); err != nil {
			return err
		}
	}
	return nil
}

// evalError names the files that do not go together.
func evalError(err error, o evalOptions) error {
	var problems coco.Problems
	switch {
	case !errors.As(err, &problems):
		return err
	case o.detections == "":
		return fmt.Errorf("%s: %w", o.truth, err)
	}
	return fmt.Errorf("%s does not go with %s: %w", o.detections, o.truth, err)
}

// writeEvalJSON writes {"segm": {"AP": …}, …}.
func writeEvalJSON(w io.Writer, o evalOptions, reports []*coco.Report) error {
	out := map[string]map[string]json.RawMessage{}
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
		out[name] = fields
	}
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(out)
}
