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

// kindMetrics are the metrics of the pictures of one kind.
type kindMetrics struct {
	Images  int
	Metrics []coco.Metric
}

// byKind evaluates the pictures of each kind of --kinds by themselves; nil without it.
func (o evalOptions) byKind(ctx context.Context, data *coco.Dataset, results []coco.Result, options coco.Options) (map[string]kindMetrics, error) {
	match, err := o.match.options(data)
	if err != nil || match.Kind == nil {
		return nil, err
	}
	images := map[string][]int64{}
	for i := range data.Images {
		m := &data.Images[i]
		if kind := match.Kind(m); kind != "" && (o.images == nil || slices.Contains(o.images, m.ID)) {
			images[kind] = append(images[kind], m.ID)
		}
	}
	out := map[string]kindMetrics{}
	for kind, ids := range images {
		options.Images = ids
		report, err := coco.Evaluate(ctx, data, results, options)
		if err != nil {
			return nil, evalError(err, o)
		}
		out[kind] = kindMetrics{len(ids), report.Metrics}
	}
	return out, nil
}

// metric returns a metric by its name, −1 if there is none.
func (k kindMetrics) metric(name string) float64 {
	for _, m := range k.Metrics {
		if m.Name == name {
			return m.Value
		}
	}
	return -1
}

// writeKinds prints the average precisions of each kind.
func writeKinds(w io.Writer, kinds map[string]kindMetrics) error {
	if len(kinds) == 0 {
		return nil
	}
	names := []string{"AP", "AP50", "AP75"}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "\nkind\timages")
	for _, name := range names {
		fmt.Fprintf(t, "\t%s", name)
	}
	fmt.Fprintln(t)
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		fmt.Fprintf(t, "%s\t%d", printable(kind), kinds[kind].Images)
		for _, name := range names {
			fmt.Fprintf(t, "\t%s", percent(kinds[kind].metric(name)))
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}

// kindFields are the kinds as JSON has them: {"kind": {"images": 3, "AP": …}}.
func kindFields(kinds map[string]kindMetrics) map[string]map[string]any {
	out := map[string]map[string]any{}
	for kind, k := range kinds {
		out[kind] = map[string]any{"images": k.Images}
		for _, m := range k.Metrics {
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
