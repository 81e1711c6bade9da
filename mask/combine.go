package mask

import (
	"fmt"
	"image"
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

// sameSize returns a *SizeError for the first mask whose size differs. A nil one is another error.
func sameSize(width, height int, masks ...*Bitmap) error {
	for i, m := range masks {
		if m == nil {
			return fmt.Errorf("mask: mask %d is nil", i)
		}
		if m.Width != width || m.Height != height {
			return &SizeError{Index: i, Width: m.Width, Height: m.Height, WantWidth: width, WantHeight: height}
		}
	}
	return nil
}

// alike is sameSize for two masks.
func alike(a, b *Bitmap) error {
	if a == nil {
		return sameSize(0, 0, a)
	}
	return sameSize(a.Width, a.Height, a, b)
}

// Union returns the pixels set in a or in b. Different sizes are a *[SizeError].
func Union(a, b *Bitmap) (*Bitmap, error) {
	if err := alike(a, b); err != nil {
		return nil, err
	}
	out := NewBitmapIn(a.Width, a.Height, a.Rect.Union(b.Rect))
	for _, m := range []*Bitmap{a, b} {
		join(out, m, m.Rect, func(to, from []uint64) {
			for i, w := range from {
				to[i] |= w
			}
		})
	}
	return out, nil
}

// Intersection returns the pixels set in a and in b. Different sizes are a
// *[SizeError].
func Intersection(a, b *Bitmap) (*Bitmap, error) {
	if err := alike(a, b); err != nil {
		return nil, err
	}
	out := NewBitmapIn(a.Width, a.Height, a.Rect.Intersect(b.Rect))
	join(out, a, out.Rect, copyWords)
	join(out, b, out.Rect, func(to, from []uint64) {
		for i, w := range from {
			to[i] &= w
		}
	})
	return out, nil
}

// Difference returns the pixels set in a and not in b. Different sizes are a
// *[SizeError].
func Difference(a, b *Bitmap) (*Bitmap, error) {
	if err := alike(a, b); err != nil {
		return nil, err
	}
	out := a.Clone()
	join(out, b, a.Rect.Intersect(b.Rect), func(to, from []uint64) {
		for i, w := range from {
			to[i] &^= w
		}
	})
	return out, nil
}

// join calls f with the words of both masks that hold r, row by row; both store r.
func join(to, from *Bitmap, r image.Rectangle, f func(to, from []uint64)) {
	if r.Empty() {
		return
	}
	n, i, j := wordsOf(r), to.index(r.Min), from.index(r.Min)
	for range r.Dy() {
		f(to.Words[i:][:n:n], from.Words[j:][:n:n])
		i, j = i+to.Stride, j+from.Stride
	}
}

func copyWords(to, from []uint64) { copy(to, from) }

// IoU returns the number of pixels set in both masks over the number set in either,
// 0 if both are empty. Different sizes are a *[SizeError].
func (b *Bitmap) IoU(o *Bitmap) (float64, error) {
	if err := alike(b, o); err != nil {
		return 0, err
	}
	var common, union int
	both := b.Rect.Intersect(o.Rect)
	for y := both.Min.Y; y < both.Max.Y; y++ {
		mine := b.Words[b.index(image.Pt(both.Min.X, y)):][:wordsOf(both)]
		other := o.Words[o.index(image.Pt(both.Min.X, y)):][:len(mine)]
		for i, w := range mine {
			common += bits.OnesCount64(w & other[i])
			union += bits.OnesCount64(w | other[i])
		}
	}
	if common == 0 {
		return 0, nil
	}
	if b.Rect != both || o.Rect != both {
		union = b.Area() + o.Area() - common
	}
	return float64(common) / float64(union), nil
}
