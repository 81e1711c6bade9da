package mask

import (
	"image"
	"math/bits"
)

// FlipHorizontal returns b mirrored left to right.
func (b *Bitmap) FlipHorizontal() *Bitmap {
	r := b.Rect
	out := NewBitmapIn(b.Width, b.Height, image.Rect(b.Width-r.Max.X, r.Min.Y, b.Width-r.Min.X, r.Max.Y))
	if r.Empty() {
		return out
	}
	// The words in reverse order begin with pixel -skip of the mirrored row.
	reversed := make([]uint64, wordsOf(r))
	skip := (r.Min.X>>6+len(reversed))<<6 - b.Width + out.Rect.Min.X&^63
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for i, w := range b.row(y) {
			reversed[len(reversed)-1-i] = bits.Reverse64(w)
		}
		words := out.row(y)
		for i := range words {
			words[i] = bitsAt(reversed, skip+i<<6)
		}
	}
	return out
}

// FlipVertical returns b mirrored top to bottom.
func (b *Bitmap) FlipVertical() *Bitmap {
	r := b.Rect
	out := NewBitmapIn(b.Width, b.Height, image.Rect(r.Min.X, b.Height-r.Max.Y, r.Max.X, b.Height-r.Min.Y))
	for y := r.Min.Y; y < r.Max.Y; y++ {
		copy(out.row(b.Height-1-y), b.row(y))
	}
	return out
}

// Transpose returns b mirrored at its main diagonal: pixel (x, y) moves to
// (y, x).
func (b *Bitmap) Transpose() *Bitmap {
	r := b.Rect
	out := NewBitmapIn(b.Height, b.Width, image.Rect(r.Min.Y, r.Min.X, r.Max.Y, r.Max.X))
	var block [64]uint64
	box := b.Box()
	for top := box.Min.Y &^ 63; top < box.Max.Y; top += 64 {
		for left := box.Min.X &^ 63; left < box.Max.X; left += 64 {
			if b.load(left, top, &block) {
				transpose64(&block)
				out.store(top, left, &block)
			}
		}
	}
	return out
}

// load reads the 64×64 pixels from (left, top), both multiples of 64, and reports whether any is
// set; if none is, block may be anything.
func (b *Bitmap) load(left, top int, block *[64]uint64) bool {
	var any uint64
	first, last := max(top, b.Rect.Min.Y), min(top+64, b.Rect.Max.Y)
	clear(block[:first-top])
	clear(block[last-top:])
	at := b.index(image.Pt(left, first))
	for i := range block[first-top : last-top] {
		w := b.Words[at+i*b.Stride]
		block[(first-top+i)&63] = w
		any |= w
	}
	return any != 0
}

// store undoes load.
func (b *Bitmap) store(left, top int, block *[64]uint64) {
	first, last := max(top, b.Rect.Min.Y), min(top+64, b.Rect.Max.Y)
	at := b.index(image.Pt(left, first))
	for i, w := range block[first-top : last-top] {
		b.Words[at+i*b.Stride] = w
	}
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
// m.Crop(p.Bounds().Sub(o)). Only pixels that b stores are stored.
func (b *Bitmap) Crop(r image.Rectangle) *Bitmap {
	in := r.Intersect(b.Rect)
	out := NewBitmapIn(r.Dx(), r.Dy(), in.Sub(r.Min))
	if in.Empty() {
		return out
	}
	skip := r.Min.X + out.Rect.Min.X&^63 - b.Rect.Min.X&^63 // of b's words
	last := ^uint64(0) >> uint(-out.Rect.Max.X&63)
	first := ^uint64(0) << uint(out.Rect.Min.X&63)
	for y := in.Min.Y; y < in.Max.Y; y++ {
		from, to := b.row(y), out.row(y-r.Min.Y)
		for i := range to {
			to[i] = bitsAt(from, skip+i<<6)
		}
		to[0] &= first
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
	if b.Rect.Empty() || width == 0 || height == 0 {
		return NewBitmapIn(width, height, image.Rectangle{})
	}
	// Output pixel X lies on ⌊(2X+1)·w / 2W⌋, so those on x or beyond start at first(x).
	first := func(x, from, to int) int { return max(0, (2*to*x-from+2*from-1)/(2*from)) }
	columns := make([]int, b.Rect.Dx()+1)
	for i := range columns {
		columns[i] = first(b.Rect.Min.X+i, b.Width, width)
	}
	out := NewBitmapIn(width, height, image.Rect(
		columns[0], first(b.Rect.Min.Y, b.Height, height), columns[len(columns)-1], first(b.Rect.Max.Y, b.Height, height)))
	previous, origin := -1, out.Rect.Min.X&^63
	for y := out.Rect.Min.Y; y < out.Rect.Max.Y; y++ {
		from := (2*y + 1) * b.Height / (2 * height)
		if from == previous {
			copy(out.row(y), out.row(y-1))
			continue
		}
		previous = from
		words := out.row(y)
		for x0, x1 := range b.Row(from) {
			fillBits(words, columns[x0-b.Rect.Min.X]-origin, columns[x1-b.Rect.Min.X]-origin)
		}
	}
	return out
}
