package annotation

import (
	"cmp"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/diffusioninst/go/coco"
)

// A Set is annotations in memory.
type Set struct {
	// Data is clean: see coco.Dataset.Clean.
	Data *coco.Dataset

	// Folder is where the file names of Data's images start: see coco.Image.Find.
	Folder string

	// Format is one of Formats.
	Format string

	// Classless is true if the form has no names of classes: all are NoClass.
	Classless bool
}

// Open reads the annotations in a file or a folder.
func Open(path string, o Options) (*Set, error) {
	set, err := read(path, &o)
	if err != nil {
		return nil, err
	}
	if o.CrowdObjects {
		set.Data.CrowdsToObjects()
	}
	if o.Limit > 0 {
		set.Data.Limit(o.Limit)
	}
	o.compareSizes(set)
	clean := coco.CleanOptions{Masks: o.Masks, Boxes: o.Boxes}
	if o.Images != "" { // other forms have sizes
		clean.Size = func(m *coco.Image) (int, int, error) { return sizeOf(m, set.Folder) }
	}
	name := func(p coco.Problem) (string, coco.Problem) { return path, p }
	if o.Format != "coco" {
		name = objectNames(path, set.Data)
	}
	of := map[string]coco.Problems{}
	var files []string
	for _, p := range set.Data.Clean(clean) {
		file, p := name(p)
		if of[file] == nil {
			files = append(files, file)
		}
		of[file] = append(of[file], p)
	}
	for _, file := range files {
		if err := o.problem(file, of[file]); err != nil {
			return nil, err
		}
	}
	return set, nil
}

// objectNames returns a function that names the object of a problem by its picture and its
// number there: the ids of annotations that were not in a file of COCO say nothing.
func objectNames(path string, d *coco.Dataset) func(p coco.Problem) (string, coco.Problem) {
	pictures, categories := map[int64]string{}, map[int64]string{}
	for i := range d.Images {
		pictures[d.Images[i].ID] = d.Images[i].FileName
	}
	for i := range d.Categories {
		categories[d.Categories[i].ID] = d.Categories[i].Name
	}
	type object struct {
		picture, category string
		number            int
	}
	objects, count := map[int64]object{}, map[int64]int{}
	for i := range d.Annotations {
		a := &d.Annotations[i]
		objects[a.ID] = object{pictures[a.ImageID], categories[a.CategoryID], count[a.ImageID]}
		count[a.ImageID]++
	}
	return func(p coco.Problem) (string, coco.Problem) {
		if o, ok := objects[p.ID]; ok && p.Record == "annotation" {
			p.Record, p.Index, p.Key = "object", o.number, o.category
			return path + ": " + o.picture, p
		}
		return path, p
	}
}

// Inspect reads annotations as Open does, but does not clean the data set: only what cannot
// be read at all is left out.
func Inspect(path string, o Options) (*coco.Dataset, error) {
	set, err := read(path, &o)
	if err != nil {
		return nil, err
	}
	o.compareSizes(set)
	if o.CrowdObjects {
		set.Data.CrowdsToObjects()
	}
	if o.Images != "" {
		for i := range set.Data.Images {
			if m := &set.Data.Images[i]; m.Width < 1 || m.Height < 1 {
				if w, h, err := sizeOf(m, set.Folder); err == nil {
					m.Width, m.Height = w, h
				}
			}
		}
	}
	return set.Data, nil
}

// read is Open before Clean.
func read(path string, o *Options) (*Set, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.Format == "" {
		format, err := recognize(path)
		if err != nil {
			return nil, err
		}
		o.Format = format
	}
	set := &Set{Format: o.Format, Folder: o.Images, Classless: slices.Contains(classless, o.Format)}
	if o.Format == "coco" {
		path, err := datasetIn(path)
		if err != nil {
			return nil, fmt.Errorf("annotation: %w", err)
		}
		data, err := coco.Load(path)
		if data == nil {
			return nil, err
		}
		if problems, _ := coco.AsProblems(err); len(problems) > 0 {
			if err := o.problem(path, problems); err != nil {
				return nil, err
			}
		}
		set.Data = data
		if set.Folder == "" {
			set.Folder = root(path)
		}
		return set, nil
	}
	builder := coco.NewBuilder(nil)
	names, pictures, err := o.pictures(path)
	if err != nil {
		return nil, err
	}
	if set.Folder == "" {
		set.Folder = cmp.Or(o.root, root(path))
	}
	if len(names) > 0 {
		builder = coco.NewBuilder(categories(names))
	}
	var first error
	if skip := o.Skip; skip != nil {
		o.Skip = func(err error) {
			first = cmp.Or(first, err)
			skip(err)
		}
		defer func() { o.Skip = skip }()
	}
	for p, err := range pictures {
		if err != nil {
			return nil, err
		}
		if err := builder.Add(p); err != nil {
			return nil, err
		}
	}
	for _, text := range builder.Notes() {
		o.warn("%s: %s", path, text)
	}
	if len(builder.Dataset.Images) == 0 {
		err := fmt.Errorf("annotation: %s: no annotated picture is found there (read as %s)", path, o.Format)
		if first != nil {
			err = fmt.Errorf("%w; the first problem: %w", err, first)
		}
		return nil, err
	}
	set.Data = &builder.Dataset
	if (o.Format == "imagej" || o.Format == "geojson") && len(set.Data.Categories) == 1 && set.Data.Categories[0].Name == NoClass {
		set.Classless = true // where classes may be, and are not
	}
	return set, nil
}

// datasetIn returns the path of a data set file of COCO, or of the only one in a folder.
func datasetIn(path string) (string, error) {
	if !isFolder(path) {
		return path, nil
	}
	names, err := files(path, ".json")
	if err != nil {
		return "", err
	}
	names = slices.DeleteFunc(names, func(name string) bool {
		format, err := ofJSON(filepath.Join(path, filepath.FromSlash(name)))
		return err != nil || format != "coco"
	})
	if len(names) != 1 {
		return "", fmt.Errorf("%s: a folder with %d data set files of COCO (%s): name one of them", path, len(names), strings.Join(names[:min(len(names), 3)], ", "))
	}
	return filepath.Join(path, filepath.FromSlash(names[0])), nil
}

func categories(names []string) []coco.Category {
	out := make([]coco.Category, len(names))
	for i, name := range names {
		out[i] = coco.Category{ID: int64(i + 1), Name: name}
	}
	return out
}

// Each returns the pictures in a file or a folder with their annotations, and the
// categories as far as they are known before reading.
func Each(path string, o Options) ([]coco.Category, iter.Seq2[*coco.LabeledImage, error], error) {
	if o.Format == "" {
		format, err := recognize(path)
		if err != nil {
			return nil, nil, err
		}
		o.Format = format
	}
	if o.Format == "coco" {
		set, err := Open(path, o)
		if err != nil {
			return nil, nil, err
		}
		return set.Data.Categories, set.Data.LabeledImages(), nil
	}
	if err := o.check(); err != nil {
		return nil, nil, err
	}
	names, pictures, err := o.pictures(path)
	return categories(names), pictures, err
}

// LabelMeFile reads a LabelMe file beside its picture. The picture's name is as seen from the
// file's folder. Problems of shapes come together with what is left: see coco.ReadLabelMe.
// warn, which may be nil, is told of shapes without area, which are then left out, and of
// what is harmless.
func LabelMeFile(path string, warn func(format string, args ...any)) (*coco.LabeledImage, error) {
	o := Options{Warn: warn}
	p, err := o.labelMe(filepath.Dir(path), filepath.Base(path))
	if problems, ok := coco.AsProblems(err); ok {
		costly, harmless := problems.Split()
		for _, h := range harmless {
			o.warn("%s: %v", path, h)
		}
		if err = costly; len(costly) == 0 {
			err = nil
		}
	}
	return p, err
}

// pictures returns the pictures of every format but coco, and the names of the classes if
// the form lists them.
func (o *Options) pictures(path string) ([]string, iter.Seq2[*coco.LabeledImage, error], error) {
	names, pictures, err := o.ofForm(path)
	if o.Sizes == nil || err != nil {
		return names, pictures, err
	}
	return names, func(yield func(*coco.LabeledImage, error) bool) {
		folder := cmp.Or(o.Images, o.root, root(path))
		for p, err := range pictures {
			if err == nil {
				o.compareSize(&coco.Image{FileName: p.FileName, Width: p.Width, Height: p.Height}, folder)
			}
			if !yield(p, err) {
				return
			}
		}
	}, nil
}

func (o *Options) ofForm(path string) ([]string, iter.Seq2[*coco.LabeledImage, error], error) {
	switch o.Format {
	case "labelme":
		return nil, o.eachJSON(path, o.labelMe), nil
	case "labelmap":
		return nil, o.eachJSON(path, labelMap), nil
	case "masks":
		return nil, o.eachJSON(path, masks), nil
	case "yolo":
		return o.yolo(path)
	case "labels", "labeltiff":
		return []string{NoClass}, o.labels(path), nil
	case "imagej":
		return nil, o.imagej(path), nil
	case "geojson":
		return nil, o.geojson(path), nil
	case "dsb":
		return []string{NoClass}, o.dsb(path), nil
	}
	return []string{NoClass}, o.cellpose(path), nil
}

// root is the folder of a path: itself, or the one that a file lies in.
func root(path string) string {
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		return filepath.Dir(path)
	}
	return path
}
