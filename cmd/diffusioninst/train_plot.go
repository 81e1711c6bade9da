//go:build cgo

package main

import (
	"errors"
	"fmt"
	"image/color"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"

	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/train/journal"
)

// The tables of a run's journal and those of their columns that the plots show.
const (
	trainTable      = "train"
	lossColumn      = "loss"
	rateColumn      = "rate"
	normColumn      = "gradient_norm"
	evaluationTable = "evaluation"
)

var (
	lossColumns = []string{"loss_ce", "loss_bbox", "loss_giou", "loss_masks"} // of the last stage
	// With as many denoising steps as usual; those with others have a suffix, as metricName makes it.
	apColumns = []string{"AP", "AP50", "AP75"}
)

// plotRun draws the journal in a folder into its train.png and evaluation.png, as far as
// there is something to show.
func plotRun(folder string) error {
	for table, panels := range map[string]func([]journal.Series) ([][]*plot.Plot, error){
		trainTable: trainPanels, evaluationTable: evaluationPanels,
	} {
		path := filepath.Join(folder, table)
		series, err := journal.Read(path + ".csv")
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		plots, err := panels(series)
		if err != nil {
			return err
		}
		if len(plots) == 0 {
			continue
		}
		if err := savePanels(plots, 6.5*vg.Inch, 4*vg.Inch, path+".png"); err != nil {
			return err
		}
	}
	return nil
}

// trainPanels are the losses above the learning rate and the norm of the gradient.
func trainPanels(series []journal.Series) ([][]*plot.Plot, error) {
	var plots [2][2]*plot.Plot
	for i, panel := range []struct {
		title   string
		columns []string
	}{
		{"Loss, all stages", []string{lossColumn}}, {"Losses of the last stage", lossColumns},
		{"Learning rate", []string{rateColumn}}, {"Norm of the gradient", []string{normColumn}},
	} {
		var curves []curve
		for k, c := range pick(series, panel.columns) {
			// Blue, orange, green and purple are far from each other in lightness and hue.
			curves = append(curves, curve{c.Name, finite(c.Points), mask.Color([]int{6, 0, 5, 3}[k])})
		}
		p, err := curvesPanel(panel.title, curves, panel.columns[0] == rateColumn)
		if err != nil {
			return nil, err
		}
		plots[i/2][i%2] = p
	}
	if plots == [2][2]*plot.Plot{} {
		return nil, nil
	}
	return [][]*plot.Plot{plots[0][:], plots[1][:]}, nil
}

// pick finds series by their names, in the order of these.
func pick(series []journal.Series, names []string) []journal.Series {
	var out []journal.Series
	for _, name := range names {
		for _, s := range series {
			if s.Name == name {
				out = append(out, s)
			}
		}
	}
	return out
}

type curve struct {
	name   string
	points plotter.XYs
	color  color.NRGBA
}

// curvesPanel draws curves over steps: exact ones from 0, of others the moving median, over
// the pale values if there is only one, on a logarithmic axis if they span much. It
// is nil where there are none.
func curvesPanel(title string, curves []curve, exact bool) (*plot.Plot, error) {
	const most = 500 // points of a line
	p := stepsPlot(title)
	r := newValueRange()
	lines := make([]plotter.XYs, len(curves))
	for i, c := range curves {
		if exact {
			lines[i] = c.points
		} else {
			lines[i] = movingMedian(c.points, len(c.points)/50, most)
		}
		r.add(lines[i])
	}
	if r.empty() {
		return nil, nil
	}
	if len(curves) == 1 && !exact {
		r.addMost(curves[0].points)
		pale := curves[0].color
		pale.A = 70
		if err := addLine(p, extremes(r.positive(curves[0].points), most), pale, 0.6); err != nil {
			return nil, err
		}
	}
	for i, c := range curves {
		if len(lines[i]) == 0 {
			continue
		}
		if err := addLine(p, extremes(r.positive(lines[i]), most), c.color, 2); err != nil {
			return nil, err
		}
		p.Legend.Add(fmt.Sprintf("%s %.3g", c.name, lines[i][len(lines[i])-1].Y), plotLegend(c.color))
	}
	r.apply(p, exact)
	return p, nil
}

// evaluationPanels are the APs over steps, in points.
func evaluationPanels(series []journal.Series) ([][]*plot.Plot, error) {
	p := stepsPlot("Evaluation")
	p.Legend.Left = true
	p.Y.Label.Text = "points"
	r, drawn := newValueRange(), 0
	for _, s := range series {
		metric, suffix, _ := strings.Cut(s.Name, "_")
		i := slices.Index(apColumns, metric)
		if i < 0 {
			continue
		}
		style := draw.LineStyle{Color: mask.Color([]int{6, 0, 5}[i]), Width: vg.Points(2)}
		if suffix != "" {
			style.Dashes = []vg.Length{vg.Points(4), vg.Points(2)}
		}
		points, err := addMetric(p, s, style)
		if err != nil {
			return nil, err
		}
		r.add(points)
		drawn += min(1, len(points))
	}
	if r.empty() {
		return nil, nil
	}
	r.apply(p, true)
	p.Y.Max *= 1 + 0.08*float64(drawn) // room for the legend
	return [][]*plot.Plot{{p}}, nil
}

// addMetric draws a metric with a ring around its best value, and returns what it drew.
func addMetric(p *plot.Plot, s journal.Series, style draw.LineStyle) (plotter.XYs, error) {
	var points plotter.XYs
	var best plotter.XY
	for _, xy := range finite(s.Points) {
		if xy.Y < 0 {
			continue // of a set without objects
		}
		xy.Y *= 100
		points = append(points, xy)
		if len(points) == 1 || xy.Y > best.Y {
			best = xy
		}
	}
	if len(points) == 0 {
		return nil, nil
	}
	line, marks, err := plotter.NewLinePoints(points)
	if err != nil {
		return nil, err
	}
	line.LineStyle = style
	marks.Color, marks.Shape, marks.Radius = style.Color, draw.CircleGlyph{}, vg.Points(2.5)
	ring, err := plotter.NewScatter(plotter.XYs{best})
	if err != nil {
		return nil, err
	}
	ring.Color, ring.Shape, ring.Radius = style.Color, draw.RingGlyph{}, vg.Points(5)
	p.Add(line, marks, ring)
	last := points[len(points)-1].Y
	p.Legend.Add(fmt.Sprintf("%s %.1f, best %.1f at %s", s.Name, last, best.Y, steps(best.X)), line, marks)
	return points, nil
}

func stepsPlot(title string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.X.Label.Text = title, "step"
	p.Title.Padding = vg.Points(4)
	p.Legend.Top, p.Legend.Padding = true, vg.Points(2)
	p.X.Tick.Marker = roundTicks{least: 1, label: steps}
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = color.Gray{225}, color.Gray{225}
	p.Add(grid)
	return p
}

func addLine(p *plot.Plot, points plotter.XYs, c color.Color, width float64) error {
	if len(points) == 1 { // which a line does not show
		dot, err := plotter.NewScatter(points)
		if err != nil {
			return err
		}
		dot.Color, dot.Shape, dot.Radius = c, draw.CircleGlyph{}, vg.Points(1.5+width/2)
		p.Add(dot)
		return nil
	}
	line, err := plotter.NewLine(points)
	if err != nil {
		return err
	}
	line.Color, line.Width = c, vg.Points(width)
	p.Add(line)
	return nil
}

// plotLegend is a line's picture in the legend.
func plotLegend(c color.Color) plot.Thumbnailer {
	return &plotter.Line{LineStyle: draw.LineStyle{Color: c, Width: vg.Points(2)}}
}

// savePanels draws plots in rows, their axes aligned, into a PNG file; each has the
// size given.
func savePanels(plots [][]*plot.Plot, width, height vg.Length, path string) error {
	const margin, gap = 14, 22
	canvas := vgimg.New(width*vg.Length(len(plots[0])), height*vg.Length(len(plots)))
	tiles := draw.Tiles{
		Rows: len(plots), Cols: len(plots[0]),
		PadTop: margin, PadBottom: margin, PadLeft: margin, PadRight: margin, PadX: gap, PadY: gap,
	}
	for i, row := range plot.Align(plots, tiles, draw.New(canvas)) {
		for k, c := range row {
			if plots[i][k] != nil {
				plots[i][k].Draw(c)
			}
		}
	}
	return writePNG(canvas, path)
}
