package mask

import (
	"errors"
	"fmt"
	"slices"
)

// Merge returns the union of masks of one size, or their intersection if intersect is
// true. An empty list, an invalid mask and masks of different sizes are errors.
func Merge(rles []RLE, intersect bool) (RLE, error) {
	if len(rles) == 0 {
		return RLE{}, errors.New("mask: merge of no masks")
	}
	out := rles[0]
	for i, r := range rles {
		if err := r.validate(); err != nil {
			return RLE{}, fmt.Errorf("mask: merge: mask %d: %w", i, err)
		}
		if r.Width != out.Width || r.Height != out.Height {
			return RLE{}, fmt.Errorf("mask: merge of sizes %d×%d and %d×%d (mask %d)", out.Width, out.Height, r.Width, r.Height, i)
		}
	}
	out.Counts = merge(rles, intersect)
	if len(rles) == 1 {
		out.Counts = slices.Clone(out.Counts)
	}
	return out, nil
}

// merge halves the list until two are left, so that many small masks do not each
// walk over the union of all before.
func merge(rles []RLE, intersect bool) []uint32 {
	if len(rles) == 1 {
		return rles[0].Counts
	}
	half := len(rles) / 2
	left, right := merge(rles[:half], intersect), merge(rles[half:], intersect)
	out := runs{counts: make([]uint32, 0, len(left)+len(right))}
	walk(left, right, func(n uint32, a, b bool) {
		out.add(n, a && b || !intersect && (a || b))
	})
	return out.finish()
}

// walk calls f for every stretch over which both of two masks of one size are
// constant.
func walk(a, b []uint32, f func(n uint32, a, b bool)) {
	var i, j int
	var left, right uint32
	for {
		for left == 0 && i < len(a) {
			left = a[i]
			i++
		}
		for right == 0 && j < len(b) {
			right = b[j]
			j++
		}
		n := min(left, right)
		if n == 0 {
			return
		}
		f(n, i&1 == 0, j&1 == 0)
		left -= n
		right -= n
	}
}
