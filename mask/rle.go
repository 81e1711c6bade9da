package mask

import (
	"fmt"
	"math"
)

// An RLE is a mask as COCO stores it: the lengths of runs of equal pixels, down the
// columns from left to right (pixel (x, y) is number x*Height + y), starting
// with a run of unset pixels that may have length zero. The lengths add up to
// Width*Height, which is at most 1<<32 - 1.
//
// The methods expect a value that [RLE.Validate] accepts, as every function of
// this package returns.
type RLE struct {
	Width, Height int
	Counts        []uint32
}

// Validate reports what is wrong with r: a negative or too large size, or run
// lengths that do not add up to Width*Height.
func (r RLE) Validate() error {
	if err := r.validate(); err != nil {
		return fmt.Errorf("mask: %w", err)
	}
	return nil
}

func (r RLE) validate() error {
	total, err := size(r.Width, r.Height)
	if err != nil {
		return err
	}
	var sum uint64
	for i, c := range r.Counts {
		if sum += uint64(c); sum > uint64(total) {
			return fmt.Errorf("run %d of %d ends at pixel %d of a %d×%d mask with %d", i, len(r.Counts), sum, r.Width, r.Height, total)
		}
	}
	if sum != uint64(total) {
		return fmt.Errorf("%d runs cover %d of the %d pixels of a %d×%d mask", len(r.Counts), sum, total, r.Width, r.Height)
	}
	return nil
}

// Area returns the number of set pixels.
func (r RLE) Area() int {
	n := 0
	for i := 1; i < len(r.Counts); i += 2 {
		n += int(r.Counts[i])
	}
	return n
}

// BBox returns the smallest box that holds every set pixel, as left, top, width and
// height in pixels; zeros if no pixel is set.
func (r RLE) BBox() (x, y, w, h float64) {
	if r.Height == 0 {
		return 0, 0, 0, 0
	}
	height := uint32(r.Height)
	top, bottom := height, uint32(0)
	var pos, first, end uint32 // the first set pixel and the one after the last
	for i := 1; i < len(r.Counts); i += 2 {
		pos += r.Counts[i-1]
		if n := r.Counts[i]; n > 0 {
			if end == 0 {
				first = pos
			}
			row := pos % height
			top, bottom = min(top, row), max(bottom, row+n)
			pos += n
			end = pos
		}
	}
	if end == 0 {
		return 0, 0, 0, 0
	}
	if bottom > height { // a run turns a column's end, so it touches bottom and top
		top, bottom = 0, height
	}
	left, right := first/height, (end-1)/height
	return float64(left), float64(top), float64(right - left + 1), float64(bottom - top)
}

// pixels returns width*height, or an error if no mask can have that size.
func pixels(width, height int) (uint32, error) {
	n, err := size(width, height)
	if err != nil {
		return 0, fmt.Errorf("mask: %w", err)
	}
	return n, nil
}

// size is pixels with an error that does not name the package.
func size(width, height int) (uint32, error) {
	if width < 0 || height < 0 {
		return 0, fmt.Errorf("negative size %d×%d", width, height)
	}
	if width != 0 && uint64(height) > math.MaxUint32/uint64(width) {
		return 0, fmt.Errorf("size %d×%d has more than %d pixels", width, height, uint32(math.MaxUint32))
	}
	return uint32(width * height), nil
}

// runs appends run lengths and joins neighbours of the same value.
type runs struct {
	counts []uint32
	value  bool   // of the open run
	length uint32 // of the open run
}

// add appends n pixels of value v.
func (r *runs) add(n uint32, v bool) {
	if n == 0 {
		return
	}
	if v != r.value {
		r.counts = append(r.counts, r.length)
		r.value, r.length = v, 0
	}
	r.length += n
}

// finish closes the last run and returns all of them.
func (r *runs) finish() []uint32 { return append(r.counts, r.length) }
