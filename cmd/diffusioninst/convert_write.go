package main

import (
	"fmt"
	"image"
	"image/png"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/internal/atomicfile"
	"github.com/diffusioninst/go/mask"
)

// outputFormats are the formats that an instanceWriter writes.
var outputFormats = []string{"coco", "results", "labelme", "labelmap", "masks", "overlay"}

// singleFiles are the formats that are one file.
var singleFiles = []string{"coco", "results"}

// writerOptions are settings of single formats.
type writerOptions struct {
	Categories []coco.Category // coco: as far as they are known before writing
	Polygons   bool            // coco, labelme: outlines instead of masks
	Tolerance  float64         // labelme: pixels that outlines may be away from the mask's edge
	MaxPixels  int             // of a picture whose masks are drawn; see checkPixels
}

// An instanceWriter writes pictures with instances in one of outputFormats: coco and
// results to one file when it is closed, others to a folder.
type instanceWriter struct {
	format, path string
	stdout       io.Writer
	options      writerOptions
	builder      *coco.Builder
	results      []coco.Result
	taken        map[string]string // names of pictures by the names of their output
}

func newInstanceWriter(stdout io.Writer, format, path string, o writerOptions) (*instanceWriter, error) {
	w := &instanceWriter{format: format, path: path, stdout: stdout, options: o, taken: map[string]string{}}
	switch format {
	case "coco":
		w.builder = coco.NewBuilder(o.Categories)
		w.builder.Polygons = o.Polygons
	case "results":
		w.results = []coco.Result{}
	case "labelme", "labelmap", "masks", "overlay":
		if path == "-" {
			return nil, fmt.Errorf("%s is a folder of files, which cannot go to standard output", format)
		}
		if err := os.MkdirAll(path, 0o777); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("unknown output format %q", format)
	}
	return w, nil
}

// Write adds a picture. pixels returns the picture to draw on; it is called for
// overlay only.
func (w *instanceWriter) Write(p *coco.LabeledImage, pixels func() (image.Image, error)) error {
	return w.Keep(p, pixels, false)
}

// Keep is Write, but if keep is true, files of the picture that are there stay.
func (w *instanceWriter) Keep(p *coco.LabeledImage, pixels func() (image.Image, error), keep bool) error {
	if w.format != "results" {
		if err := checkPixels(p, w.options.MaxPixels); err != nil {
			return err
		}
	}
	switch w.format {
	case "coco":
		return w.builder.Add(p)
	case "results":
		for i := range p.Instances {
			if v := &p.Instances[i]; v.CategoryID == 0 {
				return fmt.Errorf("%s: instance %d: results need the id of category %q: name its data set with --gt", p.FileName, i, v.Category)
			}
		}
		if p.ImageID == 0 && len(p.Instances) > 0 {
			return fmt.Errorf("%s: results need the id of the picture: name its data set with --gt", p.FileName)
		}
		w.results = append(w.results, p.Results()...)
		return nil
	}
	folder, stem, err := w.place(p)
	if err != nil {
		return err
	}
	if keep && w.written(folder, stem) {
		return nil
	}
	var b atomicfile.Batch
	defer b.Abort()
	create := func(name string) (io.WriteCloser, error) { return b.Create(filepath.Join(folder, name)) }
	if err := w.writeFiles(create, stem, p, pixels); err != nil {
		return err
	}
	return b.Commit()
}

// writeFiles writes the files of a picture, the one that written looks for last.
func (w *instanceWriter) writeFiles(create func(name string) (io.WriteCloser, error), stem string, p *coco.LabeledImage, pixels func() (image.Image, error)) error {
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
	img, err := pixels()
	if err != nil {
		return err
	}
	items, err := p.OverlayItems()
	if err != nil {
		return err
	}
	overlay, err := mask.Overlay(img, items, mask.OverlayOptions{})
	if err != nil {
		return err
	}
	return toFile(create, stem+".png", func(f io.Writer) error { return png.Encode(f, overlay) })
}

// written reports whether the files of a picture are there.
func (w *instanceWriter) written(folder, stem string) bool {
	ending := ".json"
	if w.format == "overlay" {
		ending = ".png"
	}
	_, err := os.Stat(filepath.Join(folder, stem+ending))
	return err == nil
}

// place returns the folder of a picture's files and what their names begin with. The
// folder follows the picture's own, so that pictures of the same name stay apart.
func (w *instanceWriter) place(p *coco.LabeledImage) (folder, stem string, err error) {
	key := outputPlace(p)
	if other, ok := w.taken[key]; ok {
		return "", "", fmt.Errorf("%s and %s would be written to the same file", other, p.FileName)
	}
	w.taken[key] = p.FileName
	folder = filepath.Join(w.path, filepath.FromSlash(path.Dir(key)))
	return folder, p.Stem(), os.MkdirAll(folder, 0o777)
}

// outputPlace returns the path of a picture's files within the output, without their endings.
func outputPlace(p *coco.LabeledImage) string {
	folder := path.Dir(strings.ReplaceAll(p.FileName, `\`, "/"))
	if !filepath.IsLocal(filepath.FromSlash(folder)) {
		folder = "."
	}
	return path.Join(folder, p.Stem())
}

// Close writes the file of the formats that are one.
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
	return atomicfile.Output(w.path, write)
}

// toFile creates a file, writes it and closes it.
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
