package main

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/mask"
)

// plotEval writes the precision-recall curves of a report, the AP of its categories and the
// error breakdown into a folder, as PNG and JSON files whose names begin with kind.
func plotEval(dir, kind string, r *coco.Report, b *coco.Breakdown, perClass bool) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	path := func(name string) string { return filepath.Join(dir, kind+"_"+name) }
	curves := precisionRecall(r, perClass)
	if err := writeJSON(path("precision_recall.json"), curves); err != nil {
		return err
	}
	if err := writeJSON(path("errors.json"), b); err != nil {
		return err
	}
	if err := plotCurves(path("precision_recall.png"), kind, curves); err != nil {
		return err
	}
	if err := plotErrors(path("errors.png"), kind, b); err != nil {
		return err
	}
	return plotCategories(path("categories.png"), kind, r)
}

// prCurves are precisions at recalls, one curve for each IoU threshold, averaged over the
// categories.
type prCurves struct {
	Recall  []float64            `json:"recall"`
	Curves  []prCurve            `json:"curves"`
	Classes map[string][]prCurve `json:"per_category,omitempty"` // by name; only those that have objects
}

type prCurve struct {
	Threshold float64   `json:"iou"`
	Precision []float64 `json:"precision"`
}

func precisionRecall(r *coco.Report, perClass bool) prCurves {
	last := len(r.Options.MaxDets) - 1
	out := prCurves{Recall: r.Options.RecallThresholds}
	for t, threshold := range r.Options.Thresholds {
		out.Curves = append(out.Curves, prCurve{threshold, r.MeanPrecision(t, 0, last)})
	}
	if !perClass {
		return out
	}
	out.Classes = map[string][]prCurve{}
	for k, c := range r.Categories {
		if c.Objects == 0 {
			continue
		}
		for t, threshold := range r.Options.Thresholds {
			out.Classes[c.Name] = append(out.Classes[c.Name], prCurve{threshold, r.Precision(k, t, 0, last)})
		}
	}
	return out
}

func plotCurves(path, kind string, c prCurves) error {
	p := plot.New()
	p.Title.Text = fmt.Sprintf("Precision and recall (%s, mean over the classes)", kind)
	p.X.Label.Text, p.Y.Label.Text = "recall", "precision"
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 1, 0, 1
	p.Add(plotter.NewGrid())
	for i, curve := range c.Curves {
		points := make(plotter.XYs, len(c.Recall))
		var area float64
		for k, x := range c.Recall {
			points[k] = plotter.XY{X: x, Y: math.Max(0, curve.Precision[k])}
			area += points[k].Y / float64(len(points))
		}
		line, err := plotter.NewLine(points)
		if err != nil {
			return err
		}
		line.Width, line.Color, line.Dashes = vg.Points(1.5), ramp(i, len(c.Curves)), dashes(i%2)
		p.Add(line)
		p.Legend.Add(fmt.Sprintf("IoU %.2f: AP %.1f", curve.Threshold, 100*area), line)
	}
	return savePlot(p, 8.5*vg.Inch, 5*vg.Inch, path)
}

// plotErrors draws how much AP each kind of error costs.
func plotErrors(path, kind string, b *coco.Breakdown) error {
	p := plot.New()
	p.Title.Text = fmt.Sprintf("What errors cost (%s): AP %.1f at IoU %.1f", kind, 100*b.AP, b.On)
	p.X.Label.Text, p.Y.Label.Text = "kind of error, and how often it occurs", "AP lost (points)"
	var names []string
	for i, e := range b.Errors {
		bar, err := plotter.NewBarChart(plotter.Values{math.Max(0, 100*e.DeltaAP)}, vg.Points(36))
		if err != nil {
			return err
		}
		bar.XMin, bar.Color, bar.LineStyle.Width = float64(i), mask.Color(i), 0
		p.Add(bar)
		names = append(names, fmt.Sprintf("%s\n%d ×", e.Kind, e.Count))
	}
	p.NominalX(names...)
	p.Y.Min, p.Y.Max = 0, max(leastPoints, p.Y.Max)
	p.X.Min, p.X.Max = -0.5, float64(len(names))-0.5
	return savePlot(p, 8*vg.Inch, 4*vg.Inch, path)
}

// plotCategories draws the AP of the categories that have objects, the best on top. Of more
// than 100 categories it draws the 50 best and the 50 worst.
func plotCategories(path, kind string, r *coco.Report) error {
	type bar struct {
		name string
		ap   float64
	}
	var bars []bar
	for i := range r.Categories {
		if ap, _ := r.Categories[i].Metric("AP"); ap > -1 {
			bars = append(bars, bar{r.Categories[i].Name, 100 * ap})
		}
	}
	slices.SortStableFunc(bars, func(a, b bar) int { return cmp.Compare(a.ap, b.ap) })
	if n := len(bars); n > 100 {
		bars = append(slices.Clone(bars[:50]), bars[n-50:]...)
	}
	p := plot.New()
	p.Title.Text = fmt.Sprintf("AP of each class (%s)", kind)
	p.X.Label.Text = "AP"
	values, names := plotter.Values{}, []string{}
	for _, b := range bars {
		values, names = append(values, b.ap), append(names, b.name)
	}
	if len(bars) > 0 {
		chart, err := plotter.NewBarChart(values, vg.Points(7))
		if err != nil {
			return err
		}
		chart.Horizontal, chart.Color, chart.LineStyle.Width = true, mask.Color(6), 0
		p.Add(chart)
		p.NominalY(names...)
	}
	p.X.Min, p.X.Max = 0, 100
	p.Y.Min, p.Y.Max = -0.7, float64(len(bars))-0.3
	return savePlot(p, 7*vg.Inch, vg.Points(float64(100+14*len(bars))), path)
}
