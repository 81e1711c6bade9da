package data

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/diffusioninst/go/annotation"
	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/picture"
)

// COCO is a data set of annotations, such as a COCO or LVIS file, and a folder of pictures.
type COCO struct {
	file, folder string
	data         *coco.Dataset
	classes      []string
	class        map[int64]int // of a category's id
	objects      [][]int32     // of each image: its annotations that are not crowds
	pictures     pictures
	warn         func(format string, args ...any)
	empty        sync.Map // annotations without pixels that warn was told of
	warning      sync.Mutex
}

// tell tells warn of an annotation without pixels, once.
func (c *COCO) tell(a *coco.Annotation) {
	if c.warn == nil {
		return
	}
	if _, known := c.empty.LoadOrStore(a.ID, true); known {
		return
	}
	c.warning.Lock()
	defer c.warning.Unlock()
	c.warn("%s: the mask of annotation %d has no pixels: it is left out of training", c.file, a.ID)
}

// OpenCOCO reads a data set file in the form of COCO or LVIS, whose pictures lie in a
// folder: it is Open for this form.
func OpenCOCO(file, images string) (*COCO, error) {
	return Open(file, annotation.Options{Format: "coco", Images: images})
}

// Open reads annotations in any form that package annotation reads, from a file or a
// folder. The categories, sorted by their ids, are the classes. Annotations must have masks
// (o.Masks is implied). Crowds are left out, unless o.CrowdObjects takes them as objects,
// and so are annotations whose mask is valid and has no pixels; o.Warn is told of both. If all
// are crowds, the error wraps coco.ErrAllCrowds.
//
// With nil o.Skip, annotations that are wrong are an error; otherwise it is told of each, which
// is left out. Pictures are read when they are asked for, so that errors in them are errors
// of [COCO.Sample]. The first 512 MiB of decoded pictures stay in memory: see
// [COCO.KeepPictures].
func Open(path string, o annotation.Options) (*COCO, error) {
	o.Masks = true
	read, err := annotation.Open(path, o)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	set := read.Data
	index, err := set.Index()
	if err != nil {
		return nil, fmt.Errorf("data: %s: %w", path, err)
	}
	switch {
	case len(set.Images) == 0:
		return nil, fmt.Errorf("data: %s: it has no images", path)
	case len(set.Categories) == 0:
		return nil, fmt.Errorf("data: %s: it has no categories", path)
	}
	if err := set.CheckCrowds(); err != nil {
		return nil, fmt.Errorf("data: %s: %w", path, err)
	}
	c := &COCO{file: path, folder: read.Folder, data: set, class: map[int64]int{}, objects: make([][]int32, len(set.Images)), warn: o.Warn}
	c.KeepPictures(0)
	categories := slices.Clone(set.Categories)
	slices.SortFunc(categories, func(a, b coco.Category) int { return cmp.Compare(a.ID, b.ID) })
	for i, category := range categories {
		c.classes = append(c.classes, category.Name)
		c.class[category.ID] = i
	}
	if err := coco.CheckNames(c.classes); err != nil && o.Warn != nil {
		o.Warn("%s: %v (its categories in the order of their ids): each is a class of its own to the model", path, err)
	}
	crowds := 0
	for i := range set.Images {
		for _, place := range index.OfImage(set.Images[i].ID) {
			if set.Annotations[place].Crowd {
				crowds++
			} else {
				c.objects[i] = append(c.objects[i], place)
			}
		}
	}
	if err := c.checkPixels(); err != nil {
		return nil, err
	}
	if crowds > 0 && o.Warn != nil {
		o.Warn("%s: %d of %d annotations are crowds (iscrowd 1) and are left out of training (annotation.Options.CrowdObjects takes them as objects)", path, crowds, len(set.Annotations))
	}
	return c, nil
}

// checkPixels refuses a data set whose annotations all lack pixels, of which there is
// nothing to learn. It stops at the first that has some, or of which only the picture
// can say.
func (c *COCO) checkPixels() error {
	var ids []int64
	for i, places := range c.objects {
		m := &c.data.Images[i]
		for _, place := range places {
			a := &c.data.Annotations[place]
			r, err := a.Segmentation.RLE(m.Width, m.Height)
			if err != nil || m.Width < 1 || m.Height < 1 || r.Area() > 0 {
				return nil
			}
			ids = append(ids, a.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return fmt.Errorf("data: %s: none of its %d annotations covers a pixel (ids %s): there is nothing to learn", c.file, len(ids), some(ids))
}

// some lists the first of many things.
func some[T any](all []T) string {
	const shown = 5
	text := strings.Trim(fmt.Sprint(all[:min(len(all), shown)]), "[]")
	if len(all) > shown {
		text += " …"
	}
	return text
}

// KeepPictures sets how many bytes of decoded pictures, three per pixel, stay in memory: 0
// for the default of 512 MiB, negative for none. The pictures that are read first stay: with epochs in random order no other
// choice is hit more often. It must be called before the first Sample.
func (c *COCO) KeepPictures(bytes int64) { c.pictures.keep(bytes) }

// Pictures sets what is read of the files of pictures, such as a channel, and how samples
// become 8 bits: o.Normalize, picture.Auto if empty, should be the setting of the model that
// learns (Input.Normalize). If remark is not nil it is called with each picture that is read, by
// several goroutines at once, for what its Notes and Warnings say. Pictures must be called
// before the first Sample.
func (c *COCO) Pictures(o picture.Options, remark func(path string, p *picture.Picture)) {
	c.pictures.options, c.pictures.remark = o, remark
}

// Classes returns the names of the categories in the order of their ids.
func (c *COCO) Classes() []string { return c.classes }

// Len returns the number of images.
func (c *COCO) Len() int { return len(c.objects) }

// Summary returns what the file's records say about image i.
func (c *COCO) Summary(i int) Summary {
	objects := c.objects[i]
	out := Summary{Width: c.data.Images[i].Width, Height: c.data.Images[i].Height}
	for _, place := range objects {
		out.Classes = append(out.Classes, c.class[c.data.Annotations[place].CategoryID])
	}
	return out
}

// Sample reads image i. An error is a *[SampleError] that names the data set's file and
// the image's or the annotation's id.
func (c *COCO) Sample(ctx context.Context, i int) (Sample, error) {
	if err := ctx.Err(); err != nil {
		return Sample{}, err
	}
	if c == nil || i < 0 || i >= c.Len() {
		return Sample{}, noSample(i)
	}
	m := &c.data.Images[i]
	s := Sample{ID: c.name(i)}
	bad := func(err error, format string, args ...any) error {
		where := fmt.Sprintf("image %d of %s", m.ID, c.file)
		if format != "" {
			where += ": " + fmt.Sprintf(format, args...)
		}
		return &SampleError{ID: s.ID, Reason: where, Err: err}
	}
	at, err := m.Find(c.folder)
	if err != nil {
		return Sample{}, bad(err, "")
	}
	if s.RGB, s.Width, s.Height, err = c.pictures.read(at); err != nil {
		return Sample{}, bad(err, "")
	}
	if (m.Width > 0 && m.Width != s.Width) || (m.Height > 0 && m.Height != s.Height) {
		return Sample{}, bad(nil, "the picture has %d×%d pixels, by the data set %d×%d", s.Width, s.Height, m.Width, m.Height)
	}
	for _, place := range c.objects[i] {
		a := &c.data.Annotations[place]
		r, err := a.Segmentation.RLE(s.Width, s.Height)
		if err != nil {
			return Sample{}, bad(err, "annotation %d", a.ID)
		}
		if r.Area() == 0 {
			c.tell(a)
		}
		given := mask.Box{}
		if a.HasBBox {
			b := a.BBox
			for _, v := range b {
				if math.IsNaN(v) || math.IsInf(v, 0) {
					return Sample{}, bad(nil, "annotation %d: the box %v is not finite", a.ID, b)
				}
			}
			given = mask.BoxXYWH(b)
		}
		s.add(c.class[a.CategoryID], r, given)
	}
	return s, nil
}

// name returns what an image is called in errors.
func (c *COCO) name(i int) string {
	m := &c.data.Images[i]
	return cmp.Or(m.FileName, path.Base(m.COCOURL))
}

var _ Summarizer = (*COCO)(nil)
