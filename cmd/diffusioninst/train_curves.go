//go:build cgo

package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"

	"github.com/diffusioninst/go/train/journal"
)

// finite returns the points that a plot can show.
func finite(points []journal.Point) plotter.XYs {
	out := make(plotter.XYs, 0, len(points))
	for _, p := range points {
		if !math.IsNaN(p.Value) && !math.IsInf(p.Value, 0) {
			out = append(out, plotter.XY{X: float64(p.Step), Y: p.Value})
		}
	}
	return out
}

// movingMedian returns at most n points, evenly spread, each with the median of the up to
// 2·radius+1 values around it. A single spike does not move them.
func movingMedian(points plotter.XYs, radius, n int) plotter.XYs {
	n = min(n, len(points))
	out := make(plotter.XYs, n)
	for k := range out {
		i := 0
		if n > 1 {
			i = k * (len(points) - 1) / (n - 1)
		}
		around := slices.Clone(points[max(0, i-radius):min(len(points), i+radius+1)])
		slices.SortFunc(around, func(a, b plotter.XY) int { return cmp.Compare(a.Y, b.Y) })
		out[k] = plotter.XY{X: points[i].X, Y: (around[(len(around)-1)/2].Y + around[len(around)/2].Y) / 2}
	}
	return out
}

// extremes thins points out for drawing: it keeps the least and the greatest of each of n
// equal runs.
func extremes(points plotter.XYs, n int) plotter.XYs {
	if len(points) <= 2*n {
		return points
	}
	var out plotter.XYs
	for i := range n {
		run := points[i*len(points)/n : (i+1)*len(points)/n]
		low, high := 0, 0
		for k, p := range run {
			if p.Y < run[low].Y {
				low = k
			}
			if p.Y > run[high].Y {
				high = k
			}
		}
		out = append(out, run[min(low, high)])
		if low != high {
			out = append(out, run[max(low, high)])
		}
	}
	return out
}

// A valueRange is what the axes of a plot span.
type valueRange struct{ left, right, low, high float64 }

func newValueRange() *valueRange {
	inf := math.Inf(1)
	return &valueRange{left: inf, right: -inf, low: inf, high: -inf}
}

func (r *valueRange) empty() bool { return r.left > r.right }

func (r *valueRange) add(points plotter.XYs) {
	for _, p := range points {
		r.left, r.right = min(r.left, p.X), max(r.right, p.X)
		r.low, r.high = min(r.low, p.Y), max(r.high, p.Y)
	}
}

// addMost adds points without their outliers, which may leave the plot.
func (r *valueRange) addMost(points plotter.XYs) {
	sorted := slices.Clone(points)
	slices.SortFunc(sorted, func(a, b plotter.XY) int { return cmp.Compare(a.Y, b.Y) })
	cut := len(sorted) / 100
	r.add(sorted[cut : len(sorted)-cut])
}

// logarithmic reports whether a linear axis would hide the differences of small values.
func (r *valueRange) logarithmic() bool { return r.low > 0 && r.high > 5*r.low }

// positive returns the points that the axis can show: all, or for a logarithmic one those
// above 0.
func (r *valueRange) positive(points plotter.XYs) plotter.XYs {
	if !r.logarithmic() {
		return points
	}
	return slices.DeleteFunc(slices.Clone(points), func(p plotter.XY) bool { return p.Y <= 0 })
}

// apply sets the axes of a plot. The vertical one begins at 0, or suits the values.
func (r *valueRange) apply(p *plot.Plot, fromZero bool) {
	const headroom = 0.05
	p.X.Min, p.X.Max = r.left, r.right
	if r.left == r.right {
		p.X.Min, p.X.Max = r.left-1, r.right+1
	}
	p.Y.Tick.Marker = roundTicks{label: func(v float64) string { return fmt.Sprintf("%.4g", v) }}
	switch {
	case fromZero:
		p.Y.Min, p.Y.Max = min(0, r.low), 1.08*max(0, r.high)
	case r.logarithmic():
		p.Y.Min, p.Y.Max = r.low/1.1, r.high*math.Pow(r.high/r.low, headroom)
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, logTicks{}
	default:
		p.Y.Min, p.Y.Max = r.low, r.high+headroom*(r.high-r.low)
	}
	if p.Y.Min == p.Y.Max {
		p.Y.Max = p.Y.Min + 1
	}
}

// logTicks labels 1, 2 and 5 of each decade, or only the 1 if there are more than three.
type logTicks struct{}

func (logTicks) Ticks(low, high float64) []plot.Tick {
	var ticks []plot.Tick
	many := high > 1000*low
	for e := math.Floor(math.Log10(low)); e <= math.Log10(high); e++ {
		for m := 1.; m < 10; m++ {
			v := m * math.Pow(10, e)
			if v < low || v > high {
				continue
			}
			tick := plot.Tick{Value: v}
			if m == 1 || !many && (m == 2 || m == 5) {
				tick.Label = fmt.Sprintf("%.1g", v)
				if v >= 1 {
					tick.Label = fmt.Sprintf("%.0f", v)
				}
			}
			ticks = append(ticks, tick)
		}
	}
	return ticks
}

// roundTicks marks at most seven multiples of 1, 2 or 5 times a power of ten.
type roundTicks struct {
	least float64 // distance
	label func(float64) string
}

func (t roundTicks) Ticks(low, high float64) []plot.Tick {
	unit := math.Pow(10, math.Floor(math.Log10((high-low)/6)))
	for _, m := range []float64{1, 2, 5, 10} {
		if (high-low)/(m*unit) <= 6 {
			unit *= m
			break
		}
	}
	unit = max(unit, t.least)
	var ticks []plot.Tick
	for k := math.Ceil(low / unit); k*unit <= high; k++ {
		ticks = append(ticks, plot.Tick{Value: k * unit, Label: t.label(k * unit)})
	}
	return ticks
}

// steps writes a number of steps, in thousands or millions if it is a round one.
func steps(v float64) string {
	switch {
	case v >= 1e6 && math.Mod(v, 1e5) == 0:
		return fmt.Sprintf("%gM", v/1e6)
	case v >= 1e4 && math.Mod(v, 100) == 0:
		return fmt.Sprintf("%gk", v/1e3)
	}
	return fmt.Sprintf("%.0f", v)
}
