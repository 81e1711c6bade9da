package main

import (
	"context"
	"fmt"
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

// writerOptions are settings of single formats.
type writerOptions struct {
	Categories []coco.Category // coco: as far as they are known before writing
	Polygons   bool            // coco, labelme: outlines instead of masks
	Tolerance  float64         // labelme: pixels that outlines may be away from the mask's edge
	Overlay    mask.OverlayOptions
	Settings   [][2]string // html: names and values of what the run was made with
	MaxPixels  int         // of a picture whose masks are drawn; see checkPixels
	Scores     bool        // scores that the format cannot hold are a loss: what is read may be all there is
}

// summaryName is the file of the format measurements with a line for each picture.
const summaryName = "summary.csv"

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
	summary      []annotation.Summary
	report       *os.File       // html: the pictures; nil before the first
	losses       map[string]int // what the format cannot hold, in words with their count
	nameless     map[string]int // instances by their class, in classlessFormats
	large        []string       // files that are too large to be drawn
}

func newInstanceWriter(stdout io.Writer, format, path string, o writerOptions) (*instanceWriter, error) {
	w := &instanceWriter{format: format, path: path, stdout: stdout, options: o, taken: map[string]string{}, classes: slices.Clone(o.Categories), losses: map[string]int{}, nameless: map[string]int{}}
	switch format {
	case "coco":
		w.builder = coco.NewBuilder(o.Categories)
		w.builder.Polygons = o.Polygons
	case "html":
	case "results":
		w.results = []coco.Result{}
	default:
		if folderFormats[format].write == nil {
			return nil, fmt.Errorf("unknown output format %q", format)
		}
		if format == "measurements" { // beside the files of pictures
			w.taken[strings.TrimSuffix(summaryName, ".csv")] = summaryName
		}
		if path == "-" {
			return nil, fmt.Errorf("%s is a folder of files, which cannot go to standard output", format)
		}
		if err := os.MkdirAll(path, 0o777); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// Write adds a picture.
func (w *instanceWriter) Write(p *coco.LabeledImage, source *pictureSource) error {
	return writeAll([]*instanceWriter{w}, p, source, false)
}

// writeAll adds a picture to all writers. Files about all pictures have it only if its own files are written in all formats.
// If keep is true, those of its own that are there stay.
func writeAll(writers []*instanceWriter, p *coco.LabeledImage, source *pictureSource, keep bool) error {
	for _, w := range writers {
		if err := w.writeFiles(p, source, keep); err != nil {
			return err
		}
	}
	for _, w := range writers {
		if err := w.enter(p, source); err != nil {
			return err
		}
	}
	return nil
}

// writeFiles writes the files of a picture, if the format has some.
func (w *instanceWriter) writeFiles(p *coco.LabeledImage, source *pictureSource, keep bool) error {
	if w.format != "results" {
		if err := checkPixels(p, w.options.MaxPixels); err != nil {
			return err
		}
	}
	w.count(p)
	switch w.format {
	case "coco":
		return nil
	case "html":
		return w.addReport(p, source)
	case "results":
		return checkResults(p)
	}
	folder, stem, err := w.place(p)
	if err != nil {
		return err
	}
	if keep && w.written(folder, stem, p) {
		return nil
	}
	var b atomicfile.Batch
	defer b.Abort()
	create := func(name string) (io.WriteCloser, error) { return b.Create(filepath.Join(folder, name)) }
	if err := folderFormats[w.format].write(w, &pictureOutput{p, source, stem, create}); err != nil {
		return err
	}
	if err := b.Commit(); err != nil || w.format != "dsb" {
		return err
	}
	return removeMasks(folder, stem, p)
}

// enter adds a picture to what is about all pictures.
func (w *instanceWriter) enter(p *coco.LabeledImage, source *pictureSource) error {
	switch w.format {
	case "coco":
		return w.builder.Add(p)
	case "results":
		w.results = append(w.results, p.Results()...)
	case "measurements":
		size, err := source.sizeOfPixel()
		if err != nil {
			return err
		}
		if source.oblong() {
			w.losses["pictures have pixels that are not square: their measurements are in pixels (--pixel-size sets a size)"]++
		}
		w.summary = append(w.summary, annotation.Summarize(p, size))
	}
	return nil
}

// checkResults returns an error for a picture that COCO results cannot hold.
func checkResults(p *coco.LabeledImage) error {
	for i := range p.Instances {
		if v := &p.Instances[i]; v.CategoryID == 0 && v.Record == nil {
			return fmt.Errorf("%s: instance %d: results need the id of category %q: name its data set with --gt", p.FileName, i, v.Category)
		}
	}
	if p.ImageID == 0 && p.Record == nil && len(p.Instances) > 0 {
		return fmt.Errorf("%s: results need the id of the picture: name its data set with --gt", p.FileName)
	}
	return nil
}

// place returns the folder of a picture's files and what their names begin with. The
// folder follows the picture's own, so that pictures of the same name stay apart.
func (w *instanceWriter) place(p *coco.LabeledImage) (folder, stem string, err error) {
	key := outputPlace(w.format, p)
	if other, ok := w.taken[key]; ok {
		return "", "", fmt.Errorf("%s and %s would be written to the same file", other, p.FileName)
	}
	w.taken[key] = p.FileName
	if w.format == "labelmap" { // whose previews have names that label maps may have
		preview := key + strings.TrimSuffix(previewEnding, ".png")
		if other, ok := w.taken[preview]; ok {
			return "", "", fmt.Errorf("the label map of %s and the preview of %s would be written to the same file", other, p.FileName)
		}
		w.taken[preview] = p.FileName
	}
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
	case "yolo": // which finds the labels of images/x in labels/x: the last images counts
		if !strings.HasPrefix(folder+"/", "images/") {
			folder = path.Join("images", folder)
		}
		at := strings.LastIndex("/"+folder+"/", "/images/")
		folder = folder[:at] + "labels" + folder[at+len("images"):]
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
		if v.Crowd && !slices.Contains([]string{"coco", "labelmap", "masks", "geojson", "html", "overlay"}, w.format) {
			w.losses["crowds are written as single objects"]++
		}
		classless := slices.Contains(classlessFormats, w.format)
		if classless {
			w.nameless[v.Category]++
		}
		if w.options.Scores && v.HasScore && (classless || w.format == "yolo") {
			w.losses["instances are written without their scores"]++
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
		case slices.Contains([]string{"labelme", "yolo", "labels", "dsb", "cellpose", "labeltiff", "imagej", "geojson", "measurements", "html"}, w.format):
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
	if classes := len(w.nameless); classes > 1 {
		n := 0
		for _, count := range w.nameless {
			n += count
		}
		out = append(out, fmt.Sprintf("%s: %d instances of %d classes are written without their classes", w.format, n, classes))
	}
	if w.builder != nil {
		for _, text := range w.builder.Notes() {
			out = append(out, w.format+": "+text)
		}
	}
	if len(w.large) > 0 {
		out = append(out, w.format+": "+notDrawn(w.large))
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
	case "html":
		write = w.writeReport
		defer closeSpool(w.report)
	case "yolo":
		return atomicfile.Output(ctx, filepath.Join(w.path, "data.yaml"), func(f io.Writer) error { return annotation.WriteYOLOConfig(f, w.classes) })
	case "measurements":
		return atomicfile.Output(ctx, filepath.Join(w.path, summaryName), func(f io.Writer) error { return annotation.WriteSummary(f, w.summary) })
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
