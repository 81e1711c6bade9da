// Command outputs measures the instances of a picture and writes the files of other tools.
package main

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/diffusioninst/go/annotation"
	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/picture"
)

func main() {
	if err := run("cells.tif"); err != nil {
		log.Fatal(err)
	}
}

func run(path string) error {
	seen, channels, err := picture.OpenChannels(path, picture.Options{Channels: []string{"DAPI"}})
	if err != nil {
		return err
	}
	size := seen.Bounds().Size()
	m := mask.NewBitmap(size.X, size.Y)
	m.Set(3, 4, true)
	p := &coco.LabeledImage{FileName: path, Width: size.X, Height: size.Y, Instances: []coco.LabeledInstance{
		{Label: 7, Category: "nucleus", Score: 0.9, HasScore: true, Mask: m.RLE()},
	}}

	// Measurements of one mask, and of all.
	one := mask.Measure(m, channels[0].Samples).Scale(0.325)
	fmt.Println(one.Area, one.Perimeter, one.Orientation, one.TouchesEdge, one.Intensities[0].Sum)
	pixel := seen.PixelSize[0]
	all := annotation.Measure(p, pixel, channels)
	var table bytes.Buffer
	if err := annotation.WriteMeasurements(&table, p, all); err != nil {
		return err
	}
	if err := annotation.WriteSummary(&table, []annotation.Summary{annotation.Summarize(p, pixel)}); err != nil {
		return err
	}
	fmt.Println(table.String(), all.Unit(), all.Channels, all.Rows[0].Solidity)

	// Files of other tools, and back.
	writers := map[string]func(io.Writer) error{
		"a.geojson":    func(w io.Writer) error { return annotation.WriteGeoJSON(w, p, all) },
		"a_rois.zip":   func(w io.Writer) error { return annotation.WriteImageJ(w, p) },
		"a_labels.tif": func(w io.Writer) error { return covered(annotation.WriteLabelTIFF(w, p, pixel)) },
		"a_seg.npy":    func(w io.Writer) error { return covered(annotation.WriteCellpose(w, p)) },
		"a_masks.png":  func(w io.Writer) error { return covered(annotation.WriteLabels(w, p)) },
		"a.png":        func(w io.Writer) error { return annotation.WriteLabelPreview(w, p) },
	}
	for name, write := range writers {
		f, err := os.Create(name)
		if err != nil {
			return err
		}
		if err := write(f); err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	_, pictures, err := annotation.Each("a.geojson", annotation.Options{Format: "geojson", Images: "pictures"})
	if err != nil {
		return err
	}
	for read, err := range pictures {
		if err != nil {
			return err
		}
		fmt.Println(read.FileName, read.Labels())
	}

	// Regions, pairs that overlap, and a picture of contours.
	for _, part := range m.Regions() {
		fmt.Println(part.Outer, part.Holes)
	}
	pairs, err := mask.Overlaps([]mask.RLE{m.RLE()}, []mask.RLE{p.Instances[0].Mask}, nil)
	if err != nil {
		return err
	}
	fmt.Println(pairs[0].Detection, pairs[0].Truth, pairs[0].IoU)
	items, err := p.OverlayItems()
	if err != nil {
		return err
	}
	drawn, err := mask.Overlay(seen, items, mask.OverlayOptions{Labels: 10, Boxes: -1, LineWidth: 2})
	if err != nil {
		return err
	}
	fmt.Println(drawn.Bounds(), mask.Color(3))
	return nil
}

func covered(n int, err error) error {
	if n > 0 {
		fmt.Println(n, "instances are covered in part")
	}
	return err
}
