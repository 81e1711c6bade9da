package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"

	"github.com/diffusioninst/go/coco"
)

// byKind evaluates the pictures of each kind by themselves.
func (o evalOptions) byKind(ctx context.Context, data *coco.Dataset, results []coco.Result, options coco.Options, kind func(*coco.Image) string) (map[string]*coco.Report, error) {
	counts := map[int64]bool{} // ids, if not all count
	for _, id := range o.images {
		counts[id] = true
	}
	images := map[string][]int64{}
	for i := range data.Images {
		m := &data.Images[i]
		if k := kind(m); k != "" && (o.images == nil || counts[m.ID]) {
			images[k] = append(images[k], m.ID)
		}
	}
	out := map[string]*coco.Report{}
	for k, ids := range images {
		options.Images = ids
		report, err := coco.Evaluate(ctx, data, results, options)
		if err != nil {
			return nil, evalError(err, o)
		}
		out[k] = report
	}
	return out, nil
}

// writeKinds prints the average precisions of each kind.
func writeKinds(w io.Writer, kinds map[string]*coco.Report) error {
	if len(kinds) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "\nkind\timages\tAP\tAP50\tAP75\n")
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		fmt.Fprintf(t, "%s\t%d", printable(kind), len(kinds[kind].Options.Images))
		for _, name := range []string{"AP", "AP50", "AP75"} {
			v, _ := kinds[kind].Metric(name)
			fmt.Fprintf(t, "\t%s", percent(v))
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}

// kindFields are the kinds as JSON has them: {"kind": {"images": 3, "AP": …}}.
func kindFields(kinds map[string]*coco.Report) map[string]map[string]any {
	out := map[string]map[string]any{}
	for kind, report := range kinds {
		out[kind] = map[string]any{"images": len(report.Options.Images)}
		for _, m := range report.Metrics {
			out[kind][m.Name] = m.Value
		}
	}
	return out
}

// percent writes a metric in percent. A negative one means that there is nothing to find.
func percent(v float64) string {
	if v < 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", 100*v)
}
