//go:build cgo

package main

import (
	"errors"
	"fmt"
	"image/color"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/train/journal"
)

// The tables of a run's journal and the columns that the plots show.
const (
	trainTable      = "train"
	lossColumn      = "loss"
	rateColumn      = "rate"
	normColumn      = "gradient_norm"
	evaluationTable = "evaluation"
)

var (
	lossColumns = []string{"loss_ce", "loss_bbox", "loss_giou", "loss_masks"} // of the last stage
	// Measured with the model's own number of denoising steps; for others metricName adds a suffix.
	apColumns = []string{"AP", "AP50", "AP75"}
)

// plotRun draws the journal in a folder as train.png and evaluation.png there. A table that
// is absent or has no values is left out.
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
		width := 6.5 * vg.Inch
		if table == evaluationTable {
			width = 8.5 * vg.Inch // the legend is wide
		}
		if err := savePanels(plots, width, 4*vg.Inch, path+".png"); err != nil {
			return err
		}
	}
	return nil
}

// trainPanels returns the losses above the learning rate and the gradient norm, or nil if
// there are no values.
func trainPanels(series []journal.Series) ([][]*plot.Plot, error) {
	var plots [2][2]*plot.Plot
	for i, panel := range []struct {
		title   string
		columns []string
	}{
		{"Loss, all stages", []string{lossColumn}}, {"Losses of the last stage", lossColumns},
		{"Learning rate", []string{rateColumn}}, {"Gradient norm", []string{normColumn}},
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

// pick returns the series of the given names, in the order of the names.
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

// curvesPanel draws curves over steps: exact ones as they are on an axis from 0, noisy ones
// as their moving median, on a logarithmic axis if they span much. A single noisy curve has
// its values behind it, pale. It returns nil if there are no values.
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
		last := lines[i][len(lines[i])-1].Y
		if len(curves) == 1 {
			p.Title.Text = fmt.Sprintf("%s: %.3g", title, last)
			continue
		}
		p.Legend.Add(fmt.Sprintf("%s: %.3g", c.name, last), plotLegend(c.color))
	}
	r.apply(p, exact)
	return p, nil
}

// evaluationPanels returns the APs over steps, in percent, or nil if there are none.
func evaluationPanels(series []journal.Series) ([][]*plot.Plot, error) {
	p := stepsPlot("Evaluation")
	p.Y.Label.Text = "AP (percent)"
	r := newValueRange()
	for _, s := range series {
		metric, suffix, _ := strings.Cut(s.Name, "_")
		i := slices.Index(apColumns, metric)
		if i < 0 {
			continue
		}
		style := draw.LineStyle{Color: mask.Color([]int{6, 0, 5}[i]), Width: vg.Points(2)}
		name := metric
		if n, err := strconv.Atoi(strings.TrimSuffix(suffix, "_steps")); err == nil {
			style.Dashes, name = dashes(1), fmt.Sprintf("%s, %s", metric, counted(n, "step"))
		}
		points, err := addMetric(p, name, s, style)
		if err != nil {
			return nil, err
		}
		r.add(points)
	}
	if r.empty() {
		return nil, nil
	}
	r.apply(p, true)
	p.Y.Max = max(leastPoints, p.Y.Max)
	return [][]*plot.Plot{{p}}, nil
}

// addMetric draws a metric with a ring around its best value, and returns its points.
func addMetric(p *plot.Plot, name string, s journal.Series, style draw.LineStyle) (plotter.XYs, error) {
	var points plotter.XYs
	var best plotter.XY
	for _, xy := range finite(s.Points) {
		if xy.Y < 0 {
			continue // −1: the data set has no such objects
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
	p.Legend.Add(fmt.Sprintf("%s: %.1f, best %.1f (step %s)", name, last, best.Y, steps(best.X)), line, marks)
	return points, nil
}

func stepsPlot(title string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.X.Label.Text = title, "step"
	p.Title.Padding = vg.Points(4)
	p.X.Tick.Marker = roundTicks{least: 1, label: steps}
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = color.Gray{225}, color.Gray{225}
	p.Add(grid)
	return p
}

func addLine(p *plot.Plot, points plotter.XYs, c color.Color, width float64) error {
	if len(points) == 1 { // a line would not show it
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

// plotLegend returns a line's picture in the legend.
func plotLegend(c color.Color) plot.Thumbnailer {
	return &plotter.Line{LineStyle: draw.LineStyle{Color: c, Width: vg.Points(2)}}
}
