package evaluation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"image"
	"slices"
	"time"

	"github.com/diffusioninst/go/annotation"
	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/internal/pipeline"
	"github.com/diffusioninst/go/picture"
)

// A Set is a data set to evaluate models on.
type Set struct {
	Data   *coco.Dataset
	Images []Image // to evaluate on, in the order of Data.Images

	// Pictures say what to read of the files, such as a channel. Remark, if not nil, is called
	// with each picture that is read, for what its Notes and Warnings say.
	Pictures picture.Options
	Remark   func(m Image, p *picture.Picture)

	categories []*coco.Category // by the model's class; nil if the data set lacks the class
	skip       func(error)      // is told of pictures that cannot be read; nil for an error
}

// An Image is an image of a data set with the path of its file.
type Image struct {
	*coco.Image
	Path string
}

// Open reads the annotations in a COCO or LVIS file and finds the files of its pictures in
// a folder: of the first limit images, or of all if limit is 0. Missing files are an error
// that wraps fs.ErrNotExist.
func Open(file, folder string, limit int) (*Set, error) {
	return OpenAnnotations(file, annotation.Options{Format: "coco", Images: folder, Limit: limit, Masks: true})
}

// OpenAnnotations reads annotations in any form that package annotation reads, from a file
// or a folder, and finds the files of the pictures. Without o.Skip, missing files are an error
// that wraps fs.ErrNotExist; with it they are left out, as are pictures that cannot be read
// in Run.
func OpenAnnotations(path string, o annotation.Options) (*Set, error) {
	if o.Limit < 0 {
		return nil, fmt.Errorf("evaluation: a limit of %d pictures: want a number, or 0 for all", o.Limit)
	}
	read, err := annotation.Open(path, o)
	if err != nil {
		return nil, fmt.Errorf("evaluation: %w", err)
	}
	data := read.Data
	if len(data.Images) == 0 {
		return nil, fmt.Errorf("evaluation: %s lists no images", path)
	}
	if err := data.CheckCrowds(); err != nil {
		return nil, fmt.Errorf("evaluation: %s: %w", path, err)
	}
	set := &Set{Data: data, skip: o.Skip}
	var missing []error
	for i := range data.Images {
		m := &data.Images[i]
		at, err := m.Find(read.Folder)
		if err != nil {
			err = fmt.Errorf("evaluation: %s: image %d: %w", path, m.ID, err)
			if o.Skip == nil {
				missing = append(missing, err)
			} else {
				o.Skip(err)
			}
			continue
		}
		set.Images = append(set.Images, Image{m, at})
	}
	switch {
	case len(missing) > 1:
		return nil, fmt.Errorf("%w (and %d more pictures are missing)", missing[0], len(missing)-1)
	case len(missing) == 1:
		return nil, missing[0]
	case len(set.Images) == 0:
		return nil, fmt.Errorf("evaluation: %s: none of its pictures is found", path)
	}
	return set, nil
}

// Match assigns the data set's categories to a model's classes by name. If no name matches
// and there are as many categories as classes, it assigns them in the order of their ids
// and calls warn, if not nil. A name that is there twice on either side is
// an error, unless all names are the same in that order. It must be called before Run.
func (s *Set) Match(classes []string, warn func(format string, args ...any)) error {
	if s == nil || s.Data == nil {
		return errors.New("evaluation: the Set has no data: it comes from Open or OpenAnnotations")
	}
	inOrder := s.byID()
	if slices.Equal(classes, namesOf(inOrder)) {
		s.categories = inOrder
		return nil
	}
	s.categories = make([]*coco.Category, len(classes))
	known, ambiguous := map[string]int{}, map[string]bool{}
	for i, name := range classes {
		if _, twice := known[name]; twice {
			ambiguous[name] = true
		}
		known[name] = i
	}
	missing := ""
	found := 0
	for i := range s.Data.Categories {
		c := &s.Data.Categories[i]
		if class, ok := known[c.Name]; ok {
			if ambiguous[c.Name] || s.categories[class] != nil {
				return fmt.Errorf("evaluation: %q is the name of several categories of the data set or classes of the model, and their lists differ", c.Name)
			}
			s.categories[class] = c
			found++
		} else if missing == "" {
			missing = fmt.Sprintf("%q (id %d)", c.Name, c.ID)
		}
	}
	switch {
	case missing == "" && found > 0:
		return nil
	case found > 0 || len(classes) != len(s.Data.Categories):
		return fmt.Errorf("evaluation: the data set's category %s is not one of the model's %d classes", missing, len(classes))
	}
	if warn == nil {
		warn = func(string, ...any) {}
	}
	warn("no category of the data set has the name of a class: they are taken in the order of their ids")
	s.categories = inOrder
	return nil
}

// byID returns the data set's categories in the order of their ids, which is that of the classes of a model
// that learns them.
func (s *Set) byID() []*coco.Category {
	out := make([]*coco.Category, len(s.Data.Categories))
	for i := range s.Data.Categories {
		out[i] = &s.Data.Categories[i]
	}
	slices.SortStableFunc(out, func(a, b *coco.Category) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

func namesOf(categories []*coco.Category) []string {
	out := make([]string, len(categories))
	for i, c := range categories {
		out[i] = c.Name
	}
	return out
}

// Segment is a function that finds the instances in a picture, such as the method
// Segment of diffusioninst.Model.
type Segment func(ctx context.Context, img image.Image, o diffusioninst.Options) (*diffusioninst.Result, error)

// opened is an image of a set that has been read, or could not be.
type opened struct {
	Image
	picture *picture.Picture
	err     error
}

// Run segments every image of s and returns the detections and the time that segmenting
// took, without reading files. An image's seed is o.Seed plus its id, so its detections do
// not depend on the other images. The next image is read while one is segmented. done, if not nil, is called after each image. With an error, or the
// error of ctx, it returns the detections of the images before.
func (s *Set) Run(ctx context.Context, segment Segment, o diffusioninst.Options, done func()) ([]coco.Result, time.Duration, error) {
	if s == nil {
		return nil, 0, errNoSet
	}
	if segment == nil {
		return nil, 0, errors.New("evaluation: Run needs a function that segments")
	}
	if len(s.categories) == 0 {
		return nil, 0, errors.New("evaluation: Run before Match, which says what the model's classes are in the data set")
	}
	if done == nil {
		done = func() {}
	}
	all := []coco.Result{}
	var took time.Duration
	left, at := slices.Clone(s.Images), 0 // to be read; the index in s.Images of the one at hand
	err := pipeline.Run(ctx, pipeline.Stages[*opened]{
		Read: func(context.Context) (*opened, bool) {
			if len(left) == 0 {
				return nil, false
			}
			m := left[0]
			left = left[1:]
			img, err := m.read(s.Pictures)
			return &opened{m, img, err}, true
		},
		Work: func(ctx context.Context, r *opened) error {
			m := r.Image
			if err := ctx.Err(); err != nil {
				return err
			}
			if r.err != nil && s.skip != nil {
				s.skip(r.err)
				s.Images = slices.Delete(s.Images, at, at+1)
				done()
				return nil
			}
			if r.err != nil {
				return r.err
			}
			s.remark(m, r.picture)
			with := o
			with.Seed += uint64(m.ID)
			start := time.Now()
			found, err := segment(ctx, r.picture, with)
			took += time.Since(start)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				return fmt.Errorf("evaluation: image %d: %s: %w", m.ID, m.Path, err)
			}
			results, err := s.results(m, found)
			if err != nil {
				return err
			}
			all = append(all, results...)
			at++
			done()
			return nil
		},
	})
	if err != nil {
		return all, took, err
	}
	if len(s.Images) == 0 {
		return nil, 0, errors.New("evaluation: none of the pictures can be read")
	}
	return all, took, nil
}

var errNoSet = errors.New("evaluation: the Set is nil")

// Read reads the picture of an image as s.Pictures says. It is an error if its size is not the
// one in the data set.
func (s *Set) Read(m Image) (*picture.Picture, error) {
	if s == nil {
		return nil, errNoSet
	}
	img, err := m.read(s.Pictures)
	if err == nil {
		s.remark(m, img)
	}
	return img, err
}

func (s *Set) remark(m Image, p *picture.Picture) {
	if s.Remark != nil {
		s.Remark(m, p)
	}
}

// Open reads the picture. It is an error if its size is not the one in the data set.
func (m Image) Open() (image.Image, error) {
	img, err := m.read(picture.Options{})
	if err != nil {
		return nil, err
	}
	return img, nil
}

func (m Image) read(o picture.Options) (*picture.Picture, error) {
	if m.Image == nil {
		return nil, errors.New("evaluation: the Image has no record of a data set")
	}
	img, err := picture.Open(m.Path, o)
	if err != nil {
		return nil, fmt.Errorf("evaluation: image %d: %w", m.ID, err)
	}
	if w, h := img.Bounds().Dx(), img.Bounds().Dy(); m.Width > 0 && m.Height > 0 && (w != m.Width || h != m.Height) {
		return nil, fmt.Errorf("evaluation: image %d: %s: it has %d×%d pixels, in the data set %d×%d", m.ID, m.Path, w, h, m.Width, m.Height)
	}
	return img, nil
}

// results returns the detections of classes that the data set has. A class that Match has not assigned is an error.
func (s *Set) results(m Image, found *diffusioninst.Result) ([]coco.Result, error) {
	kept := *found
	kept.Instances = nil
	categories := make([]coco.Category, len(s.categories))
	for _, in := range found.Instances {
		if in.Class < 0 || in.Class >= len(s.categories) {
			return nil, fmt.Errorf("evaluation: image %d: %s: an instance of class %d, and Match has assigned %d classes", m.ID, m.Path, in.Class, len(s.categories))
		}
		if c := s.categories[in.Class]; c != nil {
			categories[in.Class] = *c
			kept.Instances = append(kept.Instances, in)
		}
	}
	p := LabeledImage(&kept, m.ID, m.FileName, categories)
	p.Key = m.Key()
	return p.Results(), nil
}

// IDs returns the ids of s.Images, for coco.Options.Images.
func (s *Set) IDs() []int64 {
	out := make([]int64, len(s.Images))
	for i, m := range s.Images {
		out[i] = m.ID
	}
	return out
}
