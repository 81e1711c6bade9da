package main

import (
	"fmt"
	"image/draw"
	"image/png"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/mask"
)

// outputFormats are the forms that an instanceWriter writes.
var outputFormats = []string{"coco", "results", "labelme", "labelmap", "masks", "overlay"}

// writerOptions are what some forms want to know.
type writerOptions struct {
	Categories []coco.Category // of a data set, beforehand
	Polygons   bool            // outlines instead of masks in data sets and LabelMe files
	Tolerance  float64         // of LabelMe's outlines, in pixels
}

// An instanceWriter writes pictures with instances in one of outputFormats: to one
// file for coco and results, when it is closed, and to a folder otherwise.
type instanceWriter struct {
	format, path string
	stdout       io.Writer
	options      writerOptions
	builder      *coco.Builder
	results      []coco.Result
	written      map[string]string // pictures by the name of their output
}

func newInstanceWriter(stdout io.Writer, format, path string, o writerOptions) (*instanceWriter, error) {
	w := &instanceWriter{format: format, path: path, stdout: stdout, options: o, written: map[string]string{}}
	switch format {
	case "coco":
		w.builder = coco.NewBuilder(o.Categories)
		w.builder.Polygons = o.Polygons
	case "results":
		w.results = []coco.Result{}
	case "labelme", "labelmap", "masks", "overlay":
		if path == "-" {
			return nil, fmt.Errorf("%s is a folder of files and cannot go to standard output", format)
		}
		if err := os.MkdirAll(path, 0o777); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("unknown output form %q", format)
	}
	return w, nil
}

// Write adds a picture. pixels returns the picture itself to draw on; only overlay
// asks for it.
func (w *instanceWriter) Write(p *coco.LabeledImage, pixels func() (draw.Image, error)) error {
	switch w.format {
	case "coco":
		return w.builder.Add(p)
	case "results":
		for i := range p.Instances {
			if v := &p.Instances[i]; v.CategoryID == 0 {
				return fmt.Errorf("%s: instance %d: results need the id of category %q: name a data set with --gt", p.FileName, i, v.Category)
			}
		}
		if p.ImageID == 0 && len(p.Instances) > 0 {
			return fmt.Errorf("%s: results need the id of the picture: name a data set with --gt", p.FileName)
		}
		w.results = append(w.results, p.Results()...)
		return nil
	}
	folder, stem, err := w.place(p)
	if err != nil {
		return err
	}
	create := func(name string) (io.WriteCloser, error) { return os.Create(filepath.Join(folder, name)) }
	switch w.format {
	case "masks":
		return coco.WriteMasks(create, p)
	case "labelme":
		local := *p
		local.FileName = path.Base(strings.ReplaceAll(p.FileName, `\`, "/"))
		return toFile(create, stem+".json", func(f io.Writer) error {
			return coco.WriteLabelMe(f, &local, coco.LabelMeOptions{Polygons: w.options.Polygons, Tolerance: w.options.Tolerance})
		})
	case "labelmap":
		return toFile(create, stem+".png", func(picture io.Writer) error {
			return toFile(create, stem+".json", func(legend io.Writer) error { return coco.WriteLabelMap(picture, legend, p) })
		})
	}
	dst, err := pixels()
	if err != nil {
		return err
	}
	if err := p.Overlay(dst, mask.OverlayOptions{}); err != nil {
		return err
	}
	return toFile(create, stem+".png", func(f io.Writer) error { return png.Encode(f, dst) })
}

// place is the folder and the start of the names of a picture's files: as in the
// picture's own name, so that pictures of one name in different folders stay apart.
func (w *instanceWriter) place(p *coco.LabeledImage) (folder, stem string, err error) {
	stem = p.Stem()
	within := path.Dir(strings.ReplaceAll(p.FileName, `\`, "/"))
	if !filepath.IsLocal(filepath.FromSlash(within)) {
		within = "."
	}
	key := path.Join(within, stem)
	if other, taken := w.written[key]; taken {
		return "", "", fmt.Errorf("%s and %s would be written to the same file", other, p.FileName)
	}
	w.written[key] = p.FileName
	folder = filepath.Join(w.path, filepath.FromSlash(within))
	return folder, stem, os.MkdirAll(folder, 0o777)
}

// Close writes what goes into one file.
func (w *instanceWriter) Close() error {
	var write func(io.Writer) error
	switch w.format {
	case "coco":
		write = w.builder.Dataset.Write
	case "results":
		write = func(f io.Writer) error { return coco.WriteResults(f, w.results) }
	default:
		return nil
	}
	if w.path == "-" {
		return write(w.stdout)
	}
	return toFile(func(name string) (io.WriteCloser, error) { return os.Create(name) }, w.path, write)
}

func toFile(create func(name string) (io.WriteCloser, error), name string, write func(io.Writer) error) error {
	f, err := create(name)
	if err != nil {
		return err
	}
	err = write(f)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}
