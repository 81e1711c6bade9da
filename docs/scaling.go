//go:build ignore

// Command scaling measures how the cost of a picture grows with its pixels, with the proposals and with
// the classes, in processor seconds, which other programs on the machine change little, and draws
// docs/scaling.png:
//
//	go run docs/scaling.go [-turns 3] [-out docs/scaling.png]
package main

import (
	"context"
	"flag"
	"fmt"
	"image/color"
	"log"
	"os"
	"syscall"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/internal/simulate"
	"github.com/diffusioninst/go/nuclei"
	"github.com/diffusioninst/go/torch"
)

var (
	oneSize = &diffusioninst.Scales{Factors: []float64{1}}

	turns = flag.Int("turns", 3, "measurements of each point, the least of which counts")
	out   = flag.String("out", "docs/scaling.png", "the plot")
)

func main() {
	flag.Parse()
	small, err := nuclei.Load(context.Background(), diffusioninst.LoadOptions{})
	check(err)
	defer small.Close()
	var pixels, proposals plotter.XYs
	for _, side := range []int{256, 512, 768, 1024, 1280, 1536, 1792, 2048} {
		s := cost(small, side, diffusioninst.Options{Scales: oneSize, Tile: -1, Proposals: 240, Score: 1})
		pixels = append(pixels, plotter.XY{X: float64(side*side) / 1e6, Y: s})
		fmt.Printf("%4d × %4d pixels, 240 proposals: %.3f s\n", side, side, s)
	}
	for n := 100; n <= 1000; n += 100 {
		s := cost(small, 256, diffusioninst.Options{Scales: oneSize, Tile: -1, Proposals: n, Score: 1})
		proposals = append(proposals, plotter.XY{X: float64(n), Y: s})
		fmt.Printf(" 256 ×  256 pixels, %4d proposals: %.3f s\n", n, s)
	}
	var of [2]float64
	for i, c := range []diffusioninst.Config{diffusioninst.ResNet50COCO(), diffusioninst.ResNet50LVIS()} {
		m, err := diffusioninst.New(context.Background(), c, 1, torch.CPU)
		check(err)
		of[i] = cost(m, 320, diffusioninst.Options{Score: 1})
		fmt.Printf(" 320 ×  320 pixels, %4d classes (ResNet-50, 500 proposals): %.3f s\n", len(c.Classes), of[i])
		check(m.Close())
	}
	fmt.Printf("classes: %.1f %% more\n", 100*(of[1]/of[0]-1))
	save(*out, panel("megapixels", pixels), panel("proposals", proposals))
}

// cost returns the least processor seconds of a picture, after one that warms up.
func cost(m *diffusioninst.Model, side int, o diffusioninst.Options) float64 {
	if m.Config().Input.Short > 0 {
		o.Scale = 1
	}
	img, _ := simulate.Nuclei(simulate.Options{Width: side, Height: side, Seed: 1})
	best := 0.0
	for i := range *turns + 1 {
		before := processors()
		_, err := m.Segment(context.Background(), img, o)
		check(err)
		if s := processors() - before; i == 1 || i > 1 && s < best {
			best = s
		}
	}
	return best
}

// panel draws the points and the straight line through them by least squares of relative errors.
func panel(what string, points plotter.XYs) *plot.Plot {
	var w, x, y, xx, xy float64
	for _, p := range points {
		k := 1 / (p.Y * p.Y)
		w, x, y, xx, xy = w+k, x+k*p.X, y+k*p.Y, xx+k*p.X*p.X, xy+k*p.X*p.Y
	}
	slope := (w*xy - x*y) / (w*xx - x*x)
	base := (y - slope*x) / w
	worst := 0.0
	for _, p := range points {
		worst = max(worst, (base+slope*p.X)/p.Y-1, 1-(base+slope*p.X)/p.Y)
	}
	fmt.Printf("%s: %.3f s + %.3g s × %s, at most %.0f %% off\n", what, base, slope, what, 100*worst)
	p := plot.New()
	p.X.Label.Text, p.Y.Label.Text = what, "processor seconds per picture"
	p.X.Min, p.Y.Min = 0, 0
	line := plotter.NewFunction(func(x float64) float64 { return base + slope*x })
	line.Color = color.Gray{160}
	dots, err := plotter.NewScatter(points)
	check(err)
	dots.Shape, dots.Radius = draw.CircleGlyph{}, vg.Points(3)
	p.Add(plotter.NewGrid(), line, dots)
	return p
}

func save(path string, plots ...*plot.Plot) {
	canvas := vgimg.New(vg.Points(360*float64(len(plots))), vg.Points(260))
	tiles := draw.Tiles{Rows: 1, Cols: len(plots), PadX: 20, PadTop: 10, PadBottom: 10, PadLeft: 10, PadRight: 14}
	for i, c := range plot.Align([][]*plot.Plot{plots}, tiles, draw.New(canvas))[0] {
		plots[i].Draw(c)
	}
	f, err := os.Create(path)
	check(err)
	_, err = vgimg.PngCanvas{Canvas: canvas}.WriteTo(f)
	check(err)
	check(f.Close())
}

func processors() float64 {
	var u syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
