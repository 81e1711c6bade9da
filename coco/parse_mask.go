package coco

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/diffusioninst/go/mask"
)

var errUnreadableMask = errors.New("no part of it can be read")

// segmentation reads a mask, with what is wrong with it if the text itself is sound.
func (p *parser) segmentation(to *Segmentation) error {
	m := p.mark()
	defer p.release(m)
	p.parts = p.parts[:0]
	if err := p.mask(to); err != nil {
		if !p.again(m) {
			return err
		}
		*to = Segmentation{}
		p.parts = append(p.parts, "segmentation: "+err.Error())
	}
	if len(p.parts) > 0 {
		to.unread = &[]string{}
		*to.unread = append(*to.unread, p.parts...)
	}
	return nil
}

// mask reads a mask: a list of polygons, or an object with the size and run lengths, plain or
// compressed. An empty list is not a mask. Other tools also write a polygon that is not in a
// list, points as objects of x and y, objects in a list, and all of it as text. A polygon that cannot be read is a fault of its own; the mask
// fails if nothing is left of it.
func (p *parser) mask(to *Segmentation) error {
	*to = Segmentation{}
	switch p.peek() {
	case '{':
		return p.rle(to)
	case '"':
		return p.maskText(to)
	}
	parts, flat, masks := 0, false, []Segmentation(nil)
	p.points = p.points[:0]
	err := p.array(func(i int) error {
		parts++
		switch c := p.peek(); {
		case c == '[' && !flat:
			return p.part(i, func() error {
				polygon, err := p.polygon()
				switch {
				case err != nil:
				case len(polygon) == 0: // it holds nothing
					parts--
				default:
					to.Polygons = append(to.Polygons, polygon)
				}
				return err
			})
		case c == '{' && i == 0 && p.isPoint():
			flat = true
			return p.coordinates(i)
		case c == '{' && !flat:
			return p.part(i, func() error {
				var s Segmentation
				err := p.rle(&s)
				if err == nil {
					masks = append(masks, s)
				}
				return err
			})
		case i == 0 || flat:
			flat = true
			return p.coordinates(i)
		}
		return p.part(i, func() error { return p.unexpected("a polygon") })
	})
	switch {
	case err != nil:
		return err
	case flat:
		to.Polygons = [][]float64{share(&p.floats, p.points)}
		return nil
	case len(masks) > 0:
		return to.union(masks)
	case parts > 0 && len(to.Polygons) == 0:
		return errUnreadableMask
	}
	to.joinPoints()
	return nil
}

// maskText reads a string that is the JSON text of a mask, or empty for none.
func (p *parser) maskText(to *Segmentation) error {
	text, err := p.bytes()
	if err != nil || len(text) == 0 {
		return err
	}
	inner := newParser(bytes.NewReader(bytes.Clone(text)))
	if c := inner.peek(); c != '[' && c != '{' {
		return p.failf("a string where a mask should be")
	}
	err = inner.mask(to)
	if err == nil {
		err = inner.end()
	}
	if err != nil {
		return p.failf("a string where a mask should be: in it, %v", err)
	}
	p.parts = append(p.parts, inner.parts...)
	return nil
}

// isPoint reports whether an object of x and y comes next, which it does not read.
func (p *parser) isPoint() bool {
	m := p.mark()
	defer p.release(m)
	_, err := p.point()
	p.rewind(m)
	return err == nil
}

// point reads an object of x and y.
func (p *parser) point() (v [2]float64, err error) {
	var has [2]bool
	err = p.object(func(name []byte) error {
		if len(name) == 1 && (name[0] == 'x' || name[0] == 'y') {
			i := name[0] - 'x'
			has[i] = true
			return p.float(&v[i])
		}
		p.skipped = p.skipped[:0]
		return p.skip(&p.skipped)
	})
	if err == nil && has != [2]bool{true, true} {
		err = p.failf("a point without x and y")
	}
	return v, err
}

// part reads a part of a mask. If it fails, though the text is sound, the part is left
// out and a fault of the mask.
func (p *parser) part(i int, read func() error) error {
	m := p.mark()
	err := read()
	if err != nil && p.again(m) {
		p.parts = append(p.parts, fmt.Sprintf("segmentation: part %d: %v", i, err))
		err = nil
	}
	p.release(m)
	return err
}

// joinPoints makes one polygon of a list of points.
func (s *Segmentation) joinPoints() {
	if len(s.Polygons) < 3 {
		return
	}
	joined := make([]float64, 0, 2*len(s.Polygons))
	for _, point := range s.Polygons {
		if len(point) != 2 {
			return
		}
		joined = append(joined, point...)
	}
	s.Polygons = [][]float64{joined}
}

// union makes s the union of masks, and of the polygons that it has.
func (s *Segmentation) union(masks []Segmentation) error {
	if len(masks) == 1 && len(s.Polygons) == 0 {
		*s = masks[0]
		return nil
	}
	if len(s.Polygons) > 0 {
		masks = append(masks, *s)
	}
	parts := make([]mask.RLE, len(masks))
	for i, m := range masks {
		var err error
		if parts[i], err = m.RLE(masks[0].Width, masks[0].Height); err != nil {
			return fmt.Errorf("part %d: %w", i, err)
		}
	}
	all, err := mask.Merge(parts, false)
	if err == nil {
		*s = NewSegmentation(all)
	}
	return err
}
