package mask

import (
	"image"
	"math/bits"
)

// FlipHorizontal returns b mirrored left to right.
func (b *Bitmap) FlipHorizontal() *Bitmap {
	out := NewBitmap(b.Width, b.Height)
	padding := uint(-b.Width & 63)
	for y := range b.Height {
		words := out.row(y)
		for i, w := range b.row(y) {
			words[len(words)-1-i] = bits.Reverse64(w)
		}
		// The padding came to the front: shift it out.
		for i := range words {
			words[i] >>= padding
			if i+1 < len(words) {
				words[i] |= words[i+1] << (64 - padding)
			}
		}
	}
	return out
}

// FlipVertical returns b mirrored top to bottom.
func (b *Bitmap) FlipVertical() *Bitmap {
	out := NewBitmap(b.Width, b.Height)
	for y := range b.Height {
		copy(out.row(b.Height-1-y), b.row(y))
	}
	return out
}

// Transpose returns b mirrored at its main diagonal: pixel (x, y) moves to
// (y, x).
func (b *Bitmap) Transpose() *Bitmap {
	out := NewBitmap(b.Height, b.Width)
	var block [64]uint64
	for top := 0; top < b.Height; top += 64 {
		rows := min(64, b.Height-top)
		for left := 0; left < b.Width; left += 64 {
			var any uint64
			for y := range rows {
				block[y] = b.Words[(top+y)*b.Stride+left>>6]
				any |= block[y]
			}
			if any == 0 {
				continue
			}
			clear(block[rows:])
			transpose64(&block)
			for x := range min(64, b.Width-left) {
				out.Words[(left+x)*out.Stride+top>>6] = block[x]
			}
		}
	}
	return out
}

// Rotate90 returns b turned by a quarter clockwise.
func (b *Bitmap) Rotate90() *Bitmap { return b.Transpose().FlipHorizontal() }

// Rotate180 returns b turned upside down.
func (b *Bitmap) Rotate180() *Bitmap { return b.FlipHorizontal().FlipVertical() }

// Rotate270 returns b turned by a quarter anticlockwise.
func (b *Bitmap) Rotate270() *Bitmap { return b.Transpose().FlipVertical() }

// Crop returns the part of b inside r as a mask of r's size. What r holds beyond
// the mask is unset, so that Crop also pads and places: a mask m cropped from
// picture p at point o is back at its place after
// m.Crop(p.Bounds().Sub(o)).
func (b *Bitmap) Crop(r image.Rectangle) *Bitmap {
	out := NewBitmap(r.Dx(), r.Dy())
	in := r.Intersect(b.Bounds())
	last := ^uint64(0) >> uint(-out.Width&63)
	for y := in.Min.Y; y < in.Max.Y; y++ {
		from, to := b.row(y), out.row(y-r.Min.Y)
		for i := range to {
			to[i] = bitsAt(from, r.Min.X+i<<6)
		}
		to[len(to)-1] &= last
	}
	return out
}

// bitsAt is the 64 bits of words from position p on, zeros outside.
func bitsAt(words []uint64, p int) uint64 {
	i, shift := p>>6, uint(p&63)
	var w uint64
	if i >= 0 && i < len(words) {
		w = words[i] >> shift
	}
	if i+1 >= 0 && i+1 < len(words) {
		w |= words[i+1] << (64 - shift)
	}
	return w
}

// Resize returns b at another size by nearest neighbour: an output pixel takes
// the pixel of b that its centre falls on. If b has no pixels the result is
// empty.
func (b *Bitmap) Resize(width, height int) *Bitmap {
	out := NewBitmap(width, height)
	if b.Width == 0 || b.Height == 0 || width == 0 {
		return out
	}
	// Output pixel X lies on ⌊(2X+1)·w / 2W⌋, so those on x or beyond start here.
	first := make([]int, b.Width+1)
	for x := range first {
		first[x] = max(0, (2*width*x-b.Width+2*b.Width-1)/(2*b.Width))
	}
	previous := -1
	for y := range height {
		from := (2*y + 1) * b.Height / (2 * height)
		if from == previous {
			copy(out.row(y), out.row(y-1))
			continue
		}
		previous = from
		words := out.row(y)
		for x0, x1 := range b.Row(from) {
			fillBits(words, first[x0], first[x1])
		}
	}
	return out
}
