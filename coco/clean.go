package coco

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/diffusioninst/go/mask"
)

// CleanOptions says what a data set is cleaned for.
type CleanOptions struct {
	// Masks makes an annotation without a mask a problem. Otherwise a box is enough.
	Masks bool

	// Boxes says that only boxes are used: a mask that is wrong beside a valid box is no
	// problem, and is removed. It contradicts Masks.
	Boxes bool

	// Size returns the size of the picture of an image whose record has none. If it is
	// nil or fails, an image whose masks need the size is a problem.
	Size func(m *Image) (width, height int, err error)
}

func (o CleanOptions) check() Problems {
	if o.Boxes && o.Masks {
		return Problems{{Record: "data set", Message: "the options Boxes and Masks contradict each other"}}
	}
	return nil
}

// Clean removes what cannot be used and returns it as problems, sorted by kind of record and
// place: records whose id another has, annotations of unknown images and categories, parts
// of masks and boxes that are not valid, annotations of which no mask is left, and
// images without a size with their annotations. It fills in sizes. After it, Index and the
// masks of annotations are without error. Options that contradict each other are a problem of the
// data set as a whole, which is then left as it is.
func (d *Dataset) Clean(o CleanOptions) Problems {
	if err := o.check(); err != nil {
		return err
	}
	ix, problems := d.index()
	lost := d.unsized(ix, o, &problems)

	const chunk = 256
	gone := make([]bool, len(d.Annotations))
	chunks, _ := forEach(context.Background(), 0, (len(d.Annotations)+chunk-1)/chunk, func(n int) (Problems, error) {
		var found Problems
		for i := n * chunk; i < min((n+1)*chunk, len(d.Annotations)); i++ {
			a := &d.Annotations[i]
			place, known := ix.images[a.ImageID]
			_, named := ix.categories[a.CategoryID]
			first := ix.annotations[a.ID]
			if gone[i] = !known || !named || first != i || lost[place]; gone[i] {
				continue // said already
			}
			gone[i] = !a.clean(i, &d.Images[place], o, &found)
		}
		return found, nil
	})
	for _, found := range chunks {
		problems = append(problems, found...)
	}
	if len(problems) == 0 {
		return nil
	}
	d.Images = keep(d.Images, func(i int) bool { return ix.images[d.Images[i].ID] == i && !lost[i] })
	d.Categories = keep(d.Categories, func(i int) bool { return ix.categories[d.Categories[i].ID] == i })
	d.Annotations = keep(d.Annotations, func(i int) bool { return !gone[i] })
	return problems.sorted()
}

// unsized fills in the sizes of images that lack one, and returns those whose masks need a
// size that nobody knows.
func (d *Dataset) unsized(ix *Index, o CleanOptions, problems *Problems) map[int]bool {
	lost := map[int]bool{}
	for i := range d.Images {
		m := &d.Images[i]
		tooLarge := max(m.Width, m.Height) > maxSide || float64(m.Width)*float64(m.Height) > math.MaxUint32
		if m.Width > 0 && m.Height > 0 && !tooLarge {
			continue
		}
		why := fmt.Sprintf("it has no size (width %d, height %d)", m.Width, m.Height)
		if tooLarge {
			why = fmt.Sprintf("its size of %d×%d pixels is too large (sides reach to %d)", m.Width, m.Height, maxSide)
		} else if o.Size != nil {
			w, h, err := o.Size(m)
			if err == nil {
				m.Width, m.Height = w, h
				continue
			}
			why += fmt.Sprintf("; its picture: %v", err)
		}
		masks := 0
		for _, a := range ix.ofImage.of(i) {
			a := &d.Annotations[a]
			if boxes := o.Boxes && a.HasBBox; !boxes && !a.Segmentation.Empty() {
				masks++
			}
		}
		if masks > 0 {
			lost[i] = true
			problems.at("image", i, m, "%s, which its %d masks need", why, masks)
		}
	}
	return lost
}

// clean removes the parts of annotation i that are not valid, and reports whether enough is
// left.
func (a *Annotation) clean(i int, m *Image, o CleanOptions, problems *Problems) bool {
	if a.HasBBox {
		if text := boxProblem(a.BBox); text != "" {
			problems.at("annotation", i, a, "%s", text)
			a.HasBBox, a.BBox = false, [4]float64{}
			a.fieldBits &^= hasBox
		}
	}
	s := &a.Segmentation
	if o.Boxes && a.HasBBox {
		if _, err := s.RLE(m.Width, m.Height); err != nil {
			*s = Segmentation{}
		}
		return true
	}
	for _, text := range s.faults() {
		problems.at("annotation", i, a, "%s", text)
	}
	if s.unread != nil && s.missing() {
		return false
	}
	s.unread = nil
	switch {
	case s.Empty() && o.Masks:
		problems.at("annotation", i, a, "%v", errNoSegmentation)
		return false
	case s.Empty() && !a.HasBBox:
		problems.at("annotation", i, a, "neither a mask nor a box")
		return false
	case s.Empty():
		return true
	case len(s.Polygons) > 0:
		return a.cleanPolygons(i, m, problems)
	}
	if _, err := s.RLE(m.Width, m.Height); err != nil {
		problems.at("annotation", i, a, "%v", err)
		return false
	}
	return true
}

func (a *Annotation) cleanPolygons(i int, m *Image, problems *Problems) bool {
	s := &a.Segmentation
	bad := 0
	for k, p := range s.Polygons {
		err := polygonProblem(p, m.Width, m.Height)
		if err == nil {
			continue
		}
		if bad == 0 { // the data set's own list stays as it was
			s.Polygons = append([][]float64(nil), s.Polygons...)
		}
		problems.at("annotation", i, a, "polygon %d: %v", k, err)
		s.Polygons[k] = nil
		bad++
	}
	if bad > 0 {
		s.Polygons = slices.DeleteFunc(s.Polygons, func(p []float64) bool { return p == nil })
	}
	return len(s.Polygons) > 0
}

// polygonProblem reports what Segmentation.RLE would say about a polygon.
func polygonProblem(p []float64, width, height int) error {
	if outside(p, float64(width), float64(height)) {
		return fmt.Errorf("it lies outside the image of %d×%d pixels", width, height)
	}
	// Checking needs no picture; the smallest one does.
	_, err := mask.FromPolygon(p, 1, 1)
	return errors.Unwrap(err)
}
