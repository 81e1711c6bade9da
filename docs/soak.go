//go:build ignore

// Command soak draws what TestSoak recorded, one panel for each resource:
//
//	go run docs/soak.go soak.csv docs/soak.png
package main

import (
	"encoding/csv"
	"log"
	"os"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

var panels = []struct{ column, title string }{
	{"resident_kb", "resident memory [MB]"}, {"tensors", "tensors"}, {"threads", "threads"}, {"files", "open files"}, {"goroutines", "goroutines"},
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: go run docs/soak.go SOAK.csv PICTURE.png")
	}
	f, err := os.Open(os.Args[1])
	check(err)
	rows, err := csv.NewReader(f).ReadAll()
	check(err)
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	value := func(row []string, name string) float64 {
		v, err := strconv.ParseFloat(row[column[name]], 64)
		check(err)
		return v
	}
	var plots [][]*plot.Plot
	for _, panel := range panels {
		p := plot.New()
		p.Title.Text, p.X.Label.Text, p.Y.Min = panel.title, "calls [thousand]", 0
		var points plotter.XYs
		for _, row := range rows[1:] {
			y := value(row, panel.column)
			if panel.column == "resident_kb" {
				y /= 1000
			}
			points = append(points, plotter.XY{X: value(row, "calls") / 1000, Y: y})
			p.Y.Max = max(p.Y.Max, 1.2*y)
		}
		line, err := plotter.NewLine(points)
		check(err)
		p.Add(plotter.NewGrid(), line)
		plots = append(plots, []*plot.Plot{p})
	}
	canvas := vgimg.New(6*vg.Inch, vg.Length(len(plots))*1.5*vg.Inch)
	tiles := draw.Tiles{Rows: len(plots), Cols: 1, PadTop: 8, PadBottom: 8, PadLeft: 8, PadRight: 14, PadY: 10}
	for i, c := range plot.Align(plots, tiles, draw.New(canvas)) {
		plots[i][0].Draw(c[0])
	}
	out, err := os.Create(os.Args[2])
	check(err)
	_, err = vgimg.PngCanvas{Canvas: canvas}.WriteTo(out)
	check(err)
	check(out.Close())
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
