package main

import (
	"context"
	"fmt"
	"image"
	"image/png"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/diffusioninst/go/annotation"
	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/internal/atomicfile"
	"github.com/diffusioninst/go/mask"
)

// outputFormats are the formats that an instanceWriter writes.
var outputFormats = []string{"coco", "results", "labelme", "labelmap", "masks", "yolo", "labels", "dsb", "overlay"}

// needPictures are the formats that need the pictures.
var needPictures = []string{"overlay", "dsb"}

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
	classes      []coco.Category   // yolo: by number
	losses       map[string]int    // what the format cannot hold, in words with their count
}

func newInstanceWriter(stdout io.Writer, format, path string, o writerOptions) (*instanceWriter, error) {
	w := &instanceWriter{format: format, path: path, stdout: stdout, options: o, taken: map[string]string{}, classes: slices.Clone(o.Categories), losses: map[string]int{}}
	switch format {
	case "coco":
		w.builder = coco.NewBuilder(o.Categories)
		w.builder.Polygons = o.Polygons
	case "results":
		w.results = []coco.Result{}
	case "labelme", "labelmap", "masks", "yolo", "labels", "dsb", "overlay":
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

// Write adds a picture. pixels returns the picture; it is called for
// needPictures only.
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
	w.count(p)
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
	case "yolo":
		return toFile(create, stem+".txt", func(f io.Writer) error {
			loss, err := annotation.WriteYOLO(f, p, w.class)
			w.losses["parts and holes are joined to one outline per object by bridges without width, which YOLO draws as part of it"] += loss.Joined
			return err
		})
	case "labels":
		return toFile(create, stem+"_masks.png", func(f io.Writer) error {
			covered, err := annotation.WriteLabels(f, p)
			w.losses["instances are partly covered by others and lose those pixels"] += covered
			return err
		})
	case "dsb":
		for i := range p.Instances {
			if m := p.Instances[i].Mask; m.Area() > 0 {
				name := filepath.Join(stem, "masks", fmt.Sprintf("%s_%03d.png", stem, i))
				if err := toFile(create, name, func(f io.Writer) error { return png.Encode(f, m.Bitmap().Gray()) }); err != nil {
					return err
				}
			}
		}
		img, err := pixels()
		if err != nil {
			return err
		}
		return toFile(create, filepath.Join(stem, "images", stem+".png"), func(f io.Writer) error { return png.Encode(f, img) })
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
	last := stem + ".json"
	switch w.format {
	case "overlay":
		last = stem + ".png"
	case "yolo":
		last = stem + ".txt"
	case "labels":
		last = stem + "_masks.png"
	case "dsb":
		last = filepath.Join(stem, "images", stem+".png")
	}
	_, err := os.Stat(filepath.Join(folder, last))
	return err == nil
}

// place returns the folder of a picture's files and what their names begin with. The
// folder follows the picture's own, so that pictures of the same name stay apart.
func (w *instanceWriter) place(p *coco.LabeledImage) (folder, stem string, err error) {
	key := outputPlace(w.format, p)
	if other, ok := w.taken[key]; ok {
		return "", "", fmt.Errorf("%s and %s would be written to the same file", other, p.FileName)
	}
	w.taken[key] = p.FileName
	folder = filepath.Join(w.path, filepath.FromSlash(path.Dir(key)))
	stem = path.Base(key)
	if w.format == "dsb" {
		for _, sub := range []string{"images", "masks"} {
			if err := os.MkdirAll(filepath.Join(folder, stem, sub), 0o777); err != nil {
				return "", "", err
			}
		}
	}
	return folder, stem, os.MkdirAll(folder, 0o777)
}

// outputPlace returns the path of a picture's files within the output, without their endings.
func outputPlace(format string, p *coco.LabeledImage) string {
	stem, folder := p.Stem(), path.Dir(strings.ReplaceAll(p.FileName, `\`, "/"))
	if !filepath.IsLocal(filepath.FromSlash(folder)) {
		folder = "."
	}
	switch format {
	case "yolo": // which finds the labels of images/x in labels/x
		if folder == "images" || strings.HasPrefix(folder, "images/") {
			folder = strings.TrimPrefix(folder, "images")
		}
		folder = path.Join("labels", folder)
	case "dsb": // ID/images/ID.png came from there
		if folder == stem+"/images" {
			folder = "."
		}
	}
	return path.Join(folder, stem)
}

// class returns the number of an instance's class.
func (w *instanceWriter) class(v *coco.LabeledInstance) int {
	at := slices.IndexFunc(w.classes, func(c coco.Category) bool {
		return c.Name == v.Category && (v.Category != "" || c.ID == v.CategoryID)
	})
	if at < 0 {
		at = len(w.classes)
		w.classes = append(w.classes, coco.Category{ID: v.CategoryID, Name: v.Category})
	}
	return at
}

// count notes what a format cannot hold of a picture.
func (w *instanceWriter) count(p *coco.LabeledImage) {
	for i := range p.Instances {
		v := &p.Instances[i]
		if v.Crowd && !slices.Contains([]string{"coco", "labelmap", "masks", "overlay"}, w.format) {
			w.losses["crowds are written as single objects"]++
		}
		switch empty := v.Mask.Area() == 0; {
		case !empty:
		case v.BoxOnly && slices.Contains([]string{"coco", "results", "overlay"}, w.format):
		case v.BoxOnly && slices.Contains([]string{"labelme", "yolo"}, w.format):
			w.losses["annotations have boxes only and are written as rectangles"]++
		case v.BoxOnly && slices.Contains([]string{"labelmap", "masks"}, w.format):
			w.losses["annotations have boxes only: their masks have no pixels"]++
		case v.BoxOnly:
			w.losses["annotations have boxes only and were left out"]++
		case slices.Contains([]string{"labelme", "yolo", "labels", "dsb"}, w.format):
			w.losses["instances without pixels were left out"]++
		}
	}
}

// warnings says what the format could not hold.
func (w *instanceWriter) warnings() []string {
	var out []string
	for _, text := range slices.Sorted(maps.Keys(w.losses)) {
		if n := w.losses[text]; n > 0 {
			out = append(out, fmt.Sprintf("%s: %d %s", w.format, n, text))
		}
	}
	return out
}

// Close writes the file of the formats that are one. ctx is for pipes: see atomicfile.Output.
func (w *instanceWriter) Close(ctx context.Context) error {
	var write func(io.Writer) error
	switch w.format {
	case "coco":
		write = w.builder.Dataset.Write
	case "results":
		write = func(f io.Writer) error { return coco.WriteResults(f, w.results) }
	case "yolo":
		return atomicfile.Output(ctx, filepath.Join(w.path, "data.yaml"), func(f io.Writer) error { return annotation.WriteYOLOConfig(f, w.classes) })
	default:
		return nil
	}
	if w.path == "-" {
		return write(w.stdout)
	}
	return atomicfile.Output(ctx, w.path, write)
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
