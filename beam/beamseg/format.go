package beamseg

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/diffusioninst/go/annotation"
	"github.com/diffusioninst/go/coco"
)

// A format is how results are written: a picture's as lines, and a file's of those of its pictures.
type format struct {
	ending string
	lines  func(p *coco.LabeledImage) ([]byte, error)
	file   func(pictures [][]byte) ([]byte, error)
}

// formats are what Options.Format names.
var formats = map[string]format{
	"coco":    {".json", cocoLines, cocoFile},
	"geojson": {".geojsonl", geojsonLines, func(pictures [][]byte) ([]byte, error) { return slices.Concat(pictures...), nil }},
	"csv":     {".csv", csvLines, csvFile},
}

// formatOf returns the format of a name; none is COCO's.
func formatOf(name string) (format, error) {
	if name == "" {
		name = "coco"
	}
	f, ok := formats[name]
	if !ok {
		return f, fmt.Errorf("beamseg: format %q: want coco, geojson or csv", name)
	}
	return f, nil
}

// cocoLines returns results in the form of coco.WriteResults, one per line.
func cocoLines(p *coco.LabeledImage) ([]byte, error) {
	var b bytes.Buffer
	for _, r := range p.Results() {
		text, err := json.Marshal(r)
		if err != nil {
			return nil, err
		}
		b.Write(append(text, '\n'))
	}
	return b.Bytes(), nil
}

func cocoFile(pictures [][]byte) ([]byte, error) {
	var results [][]byte
	for _, p := range pictures {
		for line := range bytes.Lines(p) {
			results = append(results, bytes.TrimSpace(line))
		}
	}
	return slices.Concat([]byte("["), bytes.Join(results, []byte(",\n")), []byte("]\n")), nil
}

// geojsonLines returns the picture's FeatureCollection in one line.
func geojsonLines(p *coco.LabeledImage) ([]byte, error) {
	var whole, line bytes.Buffer
	if err := annotation.WriteGeoJSON(&whole, p, annotation.Measure(p, 0, nil)); err != nil {
		return nil, err
	}
	if err := json.Compact(&line, whole.Bytes()); err != nil {
		return nil, err
	}
	return append(line.Bytes(), '\n'), nil
}

// csvLines returns the picture's table of measurements, with its head, and with the picture in two columns before.
func csvLines(p *coco.LabeledImage) ([]byte, error) {
	var table, out bytes.Buffer
	if err := annotation.WriteMeasurements(&table, p, annotation.Measure(p, 0, nil)); err != nil {
		return nil, err
	}
	rows, err := csv.NewReader(&table).ReadAll()
	if err != nil {
		return nil, err
	}
	w := csv.NewWriter(&out)
	for i, row := range rows {
		of := []string{"image_id", "file_name"}
		if i > 0 {
			of = []string{strconv.FormatInt(p.ImageID, 10), p.FileName}
		}
		if err := w.Write(append(of, row...)); err != nil {
			return nil, err
		}
	}
	w.Flush()
	return out.Bytes(), w.Error()
}

// csvFile returns the head, which all tables have, and their rows.
func csvFile(pictures [][]byte) ([]byte, error) {
	out, err := csvLines(&coco.LabeledImage{})
	if err != nil {
		return nil, err
	}
	for _, p := range pictures {
		_, rows, _ := bytes.Cut(p, []byte("\n"))
		out = append(out, rows...)
	}
	return out, nil
}
