package mask

import (
	"image"
	"math"
)

// Erode returns the pixels whose (2d+1)×(2d+1) neighbourhood is entirely set:
// d erosions by a 3×3 square. Everything outside the mask counts as unset, so a
// mask that touches the border is eroded there as well. With d ≤ 0 it is a copy.
func (b *Bitmap) Erode(d int) *Bitmap {
	box := b.Box()
	out := b.only(box)
	if d > 0 {
		out.slide(box, d, false)
	}
	return out
}

// Dilate returns the pixels with a set one in their (2d+1)×(2d+1) neighbourhood:
// d dilations by a 3×3 square. With d ≤ 0 it is a copy.
func (b *Bitmap) Dilate(d int) *Bitmap {
	box := b.Box()
	if d <= 0 || box.Empty() {
		return b.only(box)
	}
	d = min(d, max(b.Width, b.Height))
	box = box.Inset(-d).Intersect(b.Bounds())
	out := b.only(box)
	out.slide(box, d, true)
	return out
}

// only returns a copy of b that stores the pixels of r.
func (b *Bitmap) only(r image.Rectangle) *Bitmap {
	out := NewBitmapIn(b.Width, b.Height, r)
	join(out, b, r.Intersect(b.Rect), copyWords)
	return out
}

// Boundary returns the pixels of b within d pixels of its contour: b without its
// erosion by d, the border of the picture being contour too. It is what boundary
// IoU compares (Cheng et al., Boundary IoU, arXiv 2103.16562).
func (b *Bitmap) Boundary(d int) *Bitmap {
	out := b.Erode(d)
	join(out, b, out.Rect, func(inner, all []uint64) {
		for i, w := range all {
			inner[i] = w &^ inner[i]
		}
	})
	return out
}

// BoundaryRatio is the distance of boundary IoU as a fraction of the picture's
// diagonal that Cheng et al. use for COCO and LVIS.
const BoundaryRatio = 0.02

// BoundaryDistance returns the d of [Bitmap.Boundary] for a picture of width × height
// pixels: ratio times the diagonal, rounded half to even, at least 1.
func BoundaryDistance(width, height int, ratio float64) int {
	w, h := float64(width), float64(height)
	return max(1, int(math.RoundToEven(ratio*math.Sqrt(float64(h*h)+float64(w*w)))))
}

// slide replaces every pixel of b by the union (or the intersection) of the
// (2d+1)×(2d+1) pixels around it, zeros entering from outside. Only pixels inside
// box, which b stores, may be affected.
//
// A square is a row of d+1 pixels taken forwards, then backwards, then the same
// down the columns; a row of n pixels comes from log₂ n shifts of the whole
// mask, each doubling the stretch that a bit stands for.
func (b *Bitmap) slide(box image.Rectangle, d int, union bool) {
	if box.Empty() {
		return
	}
	d = min(d, max(b.Width, b.Height))
	var all uint64 // xored in before and after |, which makes it &
	if !union {
		all = ^uint64(0)
	}
	left, words := box.Min.X>>6, wordsOf(box)
	rows := make([][]uint64, box.Dy())
	for y := range rows {
		rows[y] = b.Words[b.index(image.Pt(box.Min.X, box.Min.Y+y)):][:words]
		doubling(d+1, func(s int) { shiftDown(rows[y], s, all) })
		doubling(d+1, func(s int) { shiftUp(rows[y], s, all) })
	}
	nothing := make([]uint64, words)
	doubling(d+1, func(s int) {
		for y := range rows {
			from := nothing
			if y+s < len(rows) {
				from = rows[y+s]
			}
			joinRow(rows[y], from, all)
		}
	})
	doubling(d+1, func(s int) {
		for y := len(rows) - 1; y >= 0; y-- {
			from := nothing
			if y >= s {
				from = rows[y-s]
			}
			joinRow(rows[y], from, all)
		}
	})
	if left+words == (b.Width+63)>>6 {
		padding := ^uint64(0) >> uint(-b.Width&63)
		for _, row := range rows {
			row[words-1] &= padding
		}
	}
}

// doubling calls f with the shifts that grow a stretch of 1 to n.
func doubling(n int, f func(shift int)) {
	for have := 1; have < n; {
		shift := min(have, n-have)
		f(shift)
		have += shift
	}
}

// joinRow is to |= from, or with all ones to &= from.
func joinRow(to, from []uint64, all uint64) {
	for i, w := range from {
		to[i] = ((to[i] ^ all) | (w ^ all)) ^ all
	}
}

// shiftDown joins to every bit of words the one shift places above it.
func shiftDown(words []uint64, shift int, all uint64) {
	skip, s := shift>>6, uint(shift&63)
	for i := range words {
		var w uint64
		if i+skip < len(words) {
			w = words[i+skip] >> s
		}
		if i+skip+1 < len(words) {
			w |= words[i+skip+1] << (64 - s)
		}
		words[i] = ((words[i] ^ all) | (w ^ all)) ^ all
	}
}

// shiftUp joins to every bit of words the one shift places below it.
func shiftUp(words []uint64, shift int, all uint64) {
	skip, s := shift>>6, uint(shift&63)
	for i := len(words) - 1; i >= 0; i-- {
		var w uint64
		if i >= skip {
			w = words[i-skip] << s
		}
		if i > skip {
			w |= words[i-skip-1] >> (64 - s)
		}
		words[i] = ((words[i] ^ all) | (w ^ all)) ^ all
	}
}
