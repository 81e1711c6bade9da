package coco

import (
	"fmt"
	"math"
)

// Values of fields.

func (p *parser) int(to *int64) (err error) {
	*to, err = p.integer()
	return err
}

// size reads a whole number of pixels or things.
func (p *parser) size(to *int) error {
	v, err := p.integer()
	if err == nil && (v < 0 || v > math.MaxInt32) {
		err = p.failf("%d is not a size", v)
	}
	*to = int(v)
	return err
}

func (p *parser) float(to *float64) (err error) {
	*to, err = p.number()
	return err
}

func (p *parser) string(to *string) (err error) {
	*to, err = p.text()
	return err
}

// flag reads 0 or 1, or a truth value.
func (p *parser) flag(to *bool) error {
	if c := p.peek(); c == 't' || c == 'f' {
		word, err := p.raw()
		*to = string(word) == "true"
		return err
	}
	v, err := p.integer()
	if err == nil && v != 0 && v != 1 {
		err = p.failf("%d is not 0 or 1", v)
	}
	*to = v == 1
	return err
}

// ids reads a list of ids; an empty one is not nil.
func (p *parser) ids(to *[]int64) error {
	*to = []int64{}
	return p.array(func(int) error {
		v, err := p.integer()
		*to = append(*to, v)
		return err
	})
}

// box reads four numbers, or none, and tells which.
func (p *parser) box(to *[4]float64, has *bool) error {
	n := 0
	*to = [4]float64{}
	err := p.array(func(i int) error {
		if i == len(to) {
			return p.failf("a box of more than 4 numbers")
		}
		n++
		return p.float(&to[i])
	})
	if err == nil && n != 0 && n != len(to) {
		err = p.failf("a box of %d numbers", n)
	}
	*has = n != 0
	return err
}

// segmentation reads a mask: a list of polygons, or an object with the size and
// run lengths, plain or compressed. An empty list is no segmentation.
func (p *parser) segmentation(to *Segmentation) error {
	*to = Segmentation{}
	if p.peek() == '[' {
		return p.array(func(i int) error {
			polygon, err := p.polygon()
			if err != nil {
				return fmt.Errorf("polygon %d: %w", i, err)
			}
			to.Polygons = append(to.Polygons, polygon)
			return nil
		})
	}
	var hasSize, hasCounts bool
	err := p.object(func(name []byte) error {
		switch string(name) {
		case "size":
			hasSize = true
			return p.rleSize(to)
		case "counts":
			hasCounts = true
			to.Counts, to.Compressed = nil, ""
			if p.peek() == '"' {
				return p.string(&to.Compressed)
			}
			return p.runLengths(&to.Counts)
		}
		return p.failf("unknown field %q of a mask", name)
	})
	switch {
	case err != nil:
		return err
	case !hasSize || !hasCounts:
		return p.failf("a mask without size and counts")
	}
	return nil
}

func (p *parser) rleSize(to *Segmentation) error {
	n := 0
	err := p.array(func(i int) error {
		n++
		switch i {
		case 0:
			return p.size(&to.Height)
		case 1:
			return p.size(&to.Width)
		}
		return p.failf("a size of more than 2 numbers")
	})
	if err == nil && n != 2 {
		err = p.failf("a size of %d numbers", n)
	}
	return err
}

// block is the length of the pieces of memory that many polygons or masks share,
// which saves an allocation and a header for each.
const block = 1 << 13

func (p *parser) polygon() ([]float64, error) {
	p.points = p.points[:0]
	err := p.array(func(int) error {
		v, err := p.number()
		p.points = append(p.points, v)
		return err
	})
	return share(&p.floats, p.points), err
}

func (p *parser) runLengths(to *[]uint32) error {
	p.runs = p.runs[:0]
	err := p.array(func(int) error {
		v, err := p.integer()
		if err == nil && (v < 0 || v > math.MaxUint32) {
			err = p.failf("%d is not a run length", v)
		}
		p.runs = append(p.runs, uint32(v))
		return err
	})
	*to = share(&p.counts, p.runs)
	return err
}

// share copies v, small ones to the front of the block rest. The result is not
// nil and has no room to grow into its neighbour.
func share[T any](rest *[]T, v []T) []T {
	n := len(v)
	if n > block/8 {
		return append(make([]T, 0, n), v...)
	}
	if *rest == nil || n > len(*rest) {
		*rest = make([]T, block)
	}
	out := (*rest)[:n:n]
	*rest = (*rest)[n:]
	copy(out, v)
	return out
}
