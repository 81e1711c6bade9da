package mask

import (
	"fmt"
	"math/bits"
)

// A SizeError says that masks that belong together have different sizes.
type SizeError struct {
	Index                 int // of the mask that differs from the first
	Width, Height         int // its size
	WantWidth, WantHeight int
}

func (e *SizeError) Error() string {
	return fmt.Sprintf("mask: mask %d is %d×%d where %d×%d is needed", e.Index, e.Width, e.Height, e.WantWidth, e.WantHeight)
}

// sameSize returns a *SizeError for the first mask whose size differs.
func sameSize(width, height int, masks []*Bitmap) error {
	for i, m := range masks {
		if m.Width != width || m.Height != height {
			return &SizeError{Index: i, Width: m.Width, Height: m.Height, WantWidth: width, WantHeight: height}
		}
	}
	return nil
}

// Union returns the pixels set in a or in b. Different sizes are a *[SizeError].
func Union(a, b *Bitmap) (*Bitmap, error) {
	return combine(a, b, func(to, from []uint64) {
		for i, w := range from {
			to[i] |= w
		}
	})
}

// Intersection returns the pixels set in a and in b. Different sizes are a
// *[SizeError].
func Intersection(a, b *Bitmap) (*Bitmap, error) {
	return combine(a, b, func(to, from []uint64) {
		for i, w := range from {
			to[i] &= w
		}
	})
}

// Difference returns the pixels set in a and not in b. Different sizes are a
// *[SizeError].
func Difference(a, b *Bitmap) (*Bitmap, error) {
	return combine(a, b, func(to, from []uint64) {
		for i, w := range from {
			to[i] &^= w
		}
	})
}

func combine(a, b *Bitmap, rows func(to, from []uint64)) (*Bitmap, error) {
	if err := sameSize(a.Width, a.Height, []*Bitmap{a, b}); err != nil {
		return nil, err
	}
	out := NewBitmap(a.Width, a.Height)
	for y := range a.Height {
		copy(out.row(y), a.row(y))
		rows(out.row(y), b.row(y))
	}
	return out, nil
}

// IoU returns the number of pixels set in both masks over the number set in either,
// 0 if both are empty. Different sizes are a *[SizeError].
func (b *Bitmap) IoU(o *Bitmap) (float64, error) {
	if err := sameSize(b.Width, b.Height, []*Bitmap{b, o}); err != nil {
		return 0, err
	}
	var common, union int
	for y := range b.Height {
		other := o.row(y)
		for i, w := range b.row(y) {
			common += bits.OnesCount64(w & other[i])
			union += bits.OnesCount64(w | other[i])
		}
	}
	if common == 0 {
		return 0, nil
	}
	return float64(common) / float64(union), nil
}
