package mask

import "image"

// Run lengths go down columns and bitmaps along rows. Both conversions work on
// strips of 64 columns: the strip's columns are bit strings of their own,
// exchanged with the rows by transposing blocks of 64×64 bits.

// RLE returns the run lengths of b, the shortest that describe it. It panics if
// b has more than 1<<32 - 1 pixels.
func (b *Bitmap) RLE() RLE {
	if _, err := pixels(b.Width, b.Height); err != nil {
		panic(err.Error())
	}
	var out runs
	r := b.Rect
	above, below := uint32(r.Min.Y), uint32(b.Height-r.Max.Y) // of Rect, in every column
	blocks := (r.Dy() + 63) / 64
	columns := make([]uint64, 64*blocks)
	out.add(uint32(r.Min.X)*uint32(b.Height), false)
	for x := r.Min.X; x < r.Max.X; {
		left := x &^ 63
		end := min(left+64, r.Max.X)
		if !b.loadStrip(left>>6-r.Min.X>>6, columns) {
			out.add(uint32(end-x)*uint32(b.Height), false)
			x = end
		}
		for ; x < end; x++ {
			if above > 0 {
				out.add(above, false)
			}
			scanColumn(columns[(x-left)*blocks:][:blocks], r.Dy(), &out)
			if below > 0 {
				out.add(below, false)
			}
		}
	}
	out.add(uint32(b.Width-r.Max.X)*uint32(b.Height), false)
	return RLE{Width: b.Width, Height: b.Height, Counts: out.finish()}
}

// loadStrip writes the columns of word i of every row, each len(columns)/64 words
// long, and reports whether any bit is set; if none is, columns is left alone.
func (b *Bitmap) loadStrip(i int, columns []uint64) bool {
	blocks := len(columns) / 64
	var block [64]uint64
	found := false
	for k := range blocks {
		rows := min(64, b.Rect.Dy()-64*k)
		var any uint64
		for y := range rows {
			block[y] = b.Words[(64*k+y)*b.Stride+i]
			any |= block[y]
		}
		if any == 0 {
			if found {
				for x := range 64 {
					columns[x*blocks+k] = 0
				}
			}
			continue
		}
		if !found { // the blocks above were skipped
			found = true
			clear(columns)
		}
		clear(block[rows:])
		transpose64(&block)
		for x, w := range block {
			columns[x*blocks+k] = w
		}
	}
	return found
}

// scanColumn appends the runs of one column of the given height.
func scanColumn(words []uint64, height int, out *runs) {
	for y := 0; y < height; {
		set := words[y>>6]>>(y&63)&1 != 0
		var flip uint64
		if set {
			flip = ^uint64(0)
		}
		end := min(nextBit(words, y, flip), height)
		out.add(uint32(end-y), set)
		y = end
	}
}

// Bitmap returns the pixels of r, as a mask that stores those in r's box.
func (r RLE) Bitmap() *Bitmap {
	x0, y0, w, h := r.BBox()
	left, top := int(x0), int(y0)
	b := NewBitmapIn(r.Width, r.Height, image.Rect(left, top, left+int(w), top+int(h)))
	if len(b.Words) == 0 {
		return b
	}
	rows := b.Rect.Dy()
	blocks := (rows + 63) / 64
	columns := make([]uint64, 64*blocks)
	strip, dirty := left>>6, false
	pos, total := 0, r.Width*r.Height
	for i, c := range r.Counts {
		end := min(pos+int(c), total)
		if i&1 == 0 {
			pos = end
			continue
		}
		for pos < end {
			x, y := pos/r.Height, pos%r.Height
			if x>>6 != strip {
				if dirty {
					b.storeStrip(strip-left>>6, columns)
				}
				strip, dirty = x>>6, false
			}
			stop := min(r.Height, y+end-pos)
			fillBits(columns[(x&63)*blocks:][:blocks], y-top, stop-top)
			dirty = true
			pos += stop - y
		}
	}
	if dirty {
		b.storeStrip(strip-left>>6, columns)
	}
	return b
}

// storeStrip writes columns to word i of every row of b and clears them.
func (b *Bitmap) storeStrip(i int, columns []uint64) {
	blocks := len(columns) / 64
	var block [64]uint64
	for k := range blocks {
		var any uint64
		for x := range block {
			block[x] = columns[x*blocks+k]
			any |= block[x]
		}
		if any == 0 {
			continue
		}
		transpose64(&block)
		for y := range min(64, b.Rect.Dy()-64*k) {
			b.Words[(64*k+y)*b.Stride+i] = block[y]
		}
	}
	clear(columns)
}

// transpose64 exchanges bit j of word i with bit i of word j: it swaps the two
// off-diagonal quarters of ever smaller squares.
func transpose64(a *[64]uint64) {
	keep := ^uint64(0) >> 32
	for half := 32; half > 0; half >>= 1 {
		for i := 0; i < 64; i += 2 * half {
			swapQuarters(a[i:][:half], a[i+half:][:half], keep)
		}
		keep ^= keep << (half >> 1)
	}
}

// swapQuarters exchanges the left halves, the bits of keep, of a square's lower rows with the
// right halves of its upper ones.
func swapQuarters(upper, lower []uint64, keep uint64) {
	shift := len(upper) & 63
	lower = lower[:len(upper)] // spares a check in the loop
	for i, u := range upper {
		swap := (u>>shift ^ lower[i]) & keep
		upper[i] = u ^ swap<<shift
		lower[i] ^= swap
	}
}
