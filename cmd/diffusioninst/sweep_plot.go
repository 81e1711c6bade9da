//go:build cgo

package main

import (
	"cmp"
	"fmt"
	"image/color"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/diffusioninst/go/mask"
)

// sweepGlyphs mark the numbers of proposals.
var sweepGlyphs = []draw.GlyphDrawer{draw.CircleGlyph{}, draw.BoxGlyph{}, draw.TriangleGlyph{}, draw.PyramidGlyph{}, draw.RingGlyph{}, draw.SquareGlyph{}, draw.CrossGlyph{}}

// plotSweep draws AP over time: one colour per sampler, one mark and line pattern per number
// of proposals, and one line from few steps to many, whose points are labelled with the steps.
func plotSweep(path string, l *sweepLog) error {
	p := plot.New()
	pictures, _ := strconv.Atoi(l.Settings["pictures"]) // which openSweepLog compared
	p.Title.Text = fmt.Sprintf("AP (%s) and time, %s", l.Settings["iou"], counted(pictures, "picture"))
	p.X.Label.Text, p.Y.Label.Text = "seconds per picture; the points' labels are denoising steps", "AP"
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
			line.Color, line.Width, line.Dashes = sweepColor(i), vg.Points(1.2), dashes(j)
			marks.Color, marks.Radius, marks.Shape = sweepColor(i), vg.Points(3.5), sweepGlyphs[j%len(sweepGlyphs)]
			labels, err := plotter.NewLabels(plotter.XYLabels{XYs: points, Labels: steps})
			if err != nil {
				return err
			}
			labels.Offset = vg.Point{X: vg.Points(-2), Y: vg.Points(5)}
			for k := range labels.TextStyle {
				labels.TextStyle[k].Color, labels.TextStyle[k].Font.Size = sweepColor(i), vg.Points(9)
			}
			p.Add(line, marks, labels)
			p.Legend.Add(fmt.Sprintf("%s, %s", name, counted(n, "proposal")), line, marks)
		}
	}
	if len(all) > 0 {
		_, right, bottom, top := plotter.XYRange(all)
		room := max(0.1*(top-bottom), leastPoints/2.)
		p.X.Min, p.X.Max = 0, 1.05*right
		p.Y.Min, p.Y.Max = max(bottom-room, 0), top+room
	}
	return savePlot(p, 9*vg.Inch, 5*vg.Inch, path)
}

// sweepColor returns the colour of sampler i: blue, orange, green and purple, which are far
// from each other in lightness and hue, and then the palette's others.
func sweepColor(i int) color.NRGBA {
	if first := []int{6, 0, 5, 3}; i < len(first) {
		return mask.Color(first[i])
	}
	return mask.Color(i + 3)
}
