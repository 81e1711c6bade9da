package main

import (
	"image/color"
	"io"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

// leastPoints is the least that an axis of percentages spans, so that tiny values look tiny.
const leastPoints = 1

// legendWidth returns the width of a plot's legend with the gap before it, 0 without one.
func legendWidth(p *plot.Plot, c draw.Canvas) vg.Length {
	const gap = 10
	size := p.Legend.Rectangle(c).Size()
	if size.Y <= 0 {
		return 0
	}
	return size.X + gap
}

// drawPlot draws a plot with its legend to the right of the axes, in a column of the given
// width, where it covers no curve.
func drawPlot(p *plot.Plot, c draw.Canvas, legend vg.Length) {
	beside := p.Legend
	p.Legend = plot.NewLegend()
	p.Draw(draw.Crop(c, 0, -legend, 0, 0))
	p.Legend = beside
	if legendWidth(p, c) > 0 {
		beside.Top, beside.Left, beside.Padding = true, true, vg.Points(2)
		beside.YOffs = -p.Title.TextStyle.FontExtents().Height - p.Title.Padding
		beside.Draw(draw.Crop(c, c.Max.X-c.Min.X-legend+vg.Points(8), 0, 0, 0))
	}
}

// savePlot draws a plot with a margin all around into a PNG file.
func savePlot(p *plot.Plot, width, height vg.Length, path string) error {
	const margin = 14
	p.Title.Padding = vg.Points(8)
	canvas := vgimg.New(width, height)
	c := draw.Crop(draw.New(canvas), margin, -margin, margin, -margin)
	drawPlot(p, c, legendWidth(p, c))
	return writePNG(canvas, path)
}

// savePanels draws plots in rows into a PNG file, their axes aligned. Each plot has the given
// size.
func savePanels(plots [][]*plot.Plot, width, height vg.Length, path string) error {
	const margin, gap = 14, 22
	canvas := vgimg.New(width*vg.Length(len(plots[0])), height*vg.Length(len(plots)))
	tiles := draw.Tiles{
		Rows: len(plots), Cols: len(plots[0]),
		PadTop: margin, PadBottom: margin, PadLeft: margin, PadRight: margin, PadX: gap, PadY: gap,
	}
	cells := plot.Align(plots, tiles, draw.New(canvas))
	for k := range plots[0] {
		var legend vg.Length // of the column
		for i := range plots {
			if plots[i][k] != nil {
				legend = max(legend, legendWidth(plots[i][k], cells[i][k]))
			}
		}
		for i := range plots {
			if plots[i][k] != nil {
				drawPlot(plots[i][k], cells[i][k], legend)
			}
		}
	}
	return writePNG(canvas, path)
}

func writePNG(c *vgimg.Canvas, path string) error {
	return writeInFolder(path, func(w io.Writer) error {
		_, err := vgimg.PngCanvas{Canvas: c}.WriteTo(w)
		return err
	})
}

// ramp returns colour i of n whose order shows: from dark blue over red to light orange, in
// hue and in lightness (the map plasma of Smith and van der Walt without its light end).
func ramp(i, n int) color.NRGBA {
	stops := []color.NRGBA{{13, 8, 135, 255}, {92, 1, 166, 255}, {156, 23, 158, 255}, {203, 70, 121, 255}, {237, 121, 83, 255}, {253, 180, 47, 255}}
	at := float64(i) / float64(max(1, n-1)) * float64(len(stops)-1)
	k := min(int(at), len(stops)-2)
	part := at - float64(k)
	mix := func(a, b uint8) uint8 { return uint8(float64(a)*(1-part) + float64(b)*part + 0.5) }
	a, b := stops[k], stops[k+1]
	return color.NRGBA{mix(a.R, b.R), mix(a.G, b.G), mix(a.B, b.B), 255}
}

// dashes returns the line pattern of series i: solid, dashed, dotted, …
func dashes(i int) []vg.Length {
	patterns := [][]vg.Length{nil, {vg.Points(6), vg.Points(2.5)}, {vg.Points(1.5), vg.Points(2)}, {vg.Points(6), vg.Points(2), vg.Points(1.5), vg.Points(2)}}
	return patterns[i%len(patterns)]
}
