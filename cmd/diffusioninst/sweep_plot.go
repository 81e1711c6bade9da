//go:build cgo

package main

import (
	"cmp"
	"fmt"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/diffusioninst/go/mask"
)

// sweepGlyphs tell numbers of proposals apart.
var sweepGlyphs = []draw.GlyphDrawer{draw.CircleGlyph{}, draw.BoxGlyph{}, draw.TriangleGlyph{}, draw.PyramidGlyph{}, draw.RingGlyph{}, draw.SquareGlyph{}, draw.CrossGlyph{}}

// plotSweep draws AP over time: a colour a sampler, a mark a number of proposals, a
// line from few steps to many, at whose points the steps stand.
func plotSweep(path string, l *sweepLog) error {
	p := plot.New()
	p.Title.Text = fmt.Sprintf("%s AP and time, %s pictures", l.Settings["iou"], l.Settings["pictures"])
	p.X.Label.Text, p.Y.Label.Text = "seconds a picture", "AP"
	p.Legend.Top, p.Legend.Padding = true, vg.Points(3)
	p.Add(plotter.NewGrid())
	var names []string
	var proposals []int
	for _, r := range l.Runs {
		names, proposals = append(names, r.Sampler), append(proposals, r.Proposals)
	}
	slices.Sort(names)
	slices.Sort(proposals)
	names, proposals = slices.Compact(names), slices.Compact(proposals)
	var all plotter.XYs
	for i, name := range names {
		for j, n := range proposals {
			runs := slices.DeleteFunc(slices.Clone(l.Runs), func(r sweepRun) bool {
				return r.Sampler != name || r.Proposals != n || r.Metrics["AP"] < 0
			})
			if len(runs) == 0 {
				continue
			}
			slices.SortFunc(runs, func(a, b sweepRun) int { return cmp.Compare(a.Steps, b.Steps) })
			var points plotter.XYs
			var steps []string
			for _, r := range runs {
				x, y := r.Seconds, 100*r.Metrics["AP"]
				points, steps = append(points, plotter.XY{X: x, Y: y}), append(steps, fmt.Sprint(r.Steps))
			}
			all = append(all, points...)
			line, marks, err := plotter.NewLinePoints(points)
			if err != nil {
				return err
			}
			line.Color, line.Width = mask.Color(i), vg.Points(1.2)
			marks.Color, marks.Radius, marks.Shape = mask.Color(i), vg.Points(3.5), sweepGlyphs[j%len(sweepGlyphs)]
			labels, err := plotter.NewLabels(plotter.XYLabels{XYs: points, Labels: steps})
			if err != nil {
				return err
			}
			labels.Offset = vg.Point{X: vg.Points(-2), Y: vg.Points(5)}
			for k := range labels.TextStyle {
				labels.TextStyle[k].Color, labels.TextStyle[k].Font.Size = mask.Color(i), vg.Points(9)
			}
			p.Add(line, marks, labels)
			p.Legend.Add(fmt.Sprintf("%s, %d proposals", name, n), line, marks)
		}
	}
	if len(all) > 0 {
		left, right, bottom, top := plotter.XYRange(all)
		// The legend stands on the right.
		p.X.Min, p.X.Max = max(left-0.05*(right-left)-1e-3, 0), right+0.8*(right-left)+1e-3
		p.Y.Min, p.Y.Max = max(bottom-0.1*(top-bottom)-0.1, 0), top+0.1*(top-bottom)+0.1
	}
	return savePlot(p, 8*vg.Inch, 5.5*vg.Inch, path)
}
