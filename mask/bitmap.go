package mask

import (
	"fmt"
	"image"
	"image/color"
	"iter"
	"math"
	"math/bits"
	"slices"
)

// A Bitmap is a binary mask of Width × Height pixels, one bit per pixel, row by row.
// Row y starts at word y*Stride; pixel (x, y) is bit x&63, lowest first, of word
// y*Stride + x>>6. Bits beyond Width are zero; code that writes Words must keep them so.
//
// It is an [image.Image] of color.Alpha (set is opaque, unset transparent) whose
// bounds start at (0, 0), so it serves as the mask of draw.DrawMask.
type Bitmap struct {
	Width, Height int
	Stride        int
	Words         []uint64
}

// NewBitmap returns an empty mask of width × height pixels. Like the
// constructors of package image it panics if a side is negative or the size
// overflows an int.
func NewBitmap(width, height int) *Bitmap {
	if width < 0 || height < 0 {
		panic(fmt.Sprintf("mask: NewBitmap of negative size %d×%d", width, height))
	}
	stride := width / 64
	if width%64 != 0 {
		stride++
	}
	if stride != 0 && height > math.MaxInt/8/stride {
		panic(fmt.Sprintf("mask: NewBitmap of huge size %d×%d", width, height))
	}
	return &Bitmap{Width: width, Height: height, Stride: stride, Words: make([]uint64, stride*height)}
}

// Validate reports what is wrong with fields that were set by hand: a negative size, a
// stride below the words of a row, or fewer words than the rows take.
func (b *Bitmap) Validate() error {
	row := (max(b.Width, 0)-1)/64 + 1
	switch {
	case b.Width < 0 || b.Height < 0:
		return fmt.Errorf("mask: bitmap of negative size %d×%d", b.Width, b.Height)
	case b.Width == 0 || b.Height == 0:
		return nil
	case b.Stride < row || len(b.Words) < row || b.Height-1 > (len(b.Words)-row)/b.Stride:
		return fmt.Errorf("mask: bitmap of %d×%d pixels: %d words with a stride of %d are too few", b.Width, b.Height, len(b.Words), b.Stride)
	}
	return nil
}

// Get reports whether pixel (x, y) is set. Outside the mask nothing is.
func (b *Bitmap) Get(x, y int) bool {
	if uint(x) >= uint(b.Width) || uint(y) >= uint(b.Height) {
		return false
	}
	return b.Words[y*b.Stride+x>>6]>>(x&63)&1 != 0
}

// Set writes pixel (x, y). Outside the mask it does nothing.
func (b *Bitmap) Set(x, y int, v bool) {
	if uint(x) >= uint(b.Width) || uint(y) >= uint(b.Height) {
		return
	}
	bit := uint64(1) << (x & 63)
	if v {
		b.Words[y*b.Stride+x>>6] |= bit
	} else {
		b.Words[y*b.Stride+x>>6] &^= bit
	}
}

// Fill sets every pixel of r that lies inside the mask.
func (b *Bitmap) Fill(r image.Rectangle) {
	r = r.Intersect(b.Bounds())
	for y := r.Min.Y; y < r.Max.Y; y++ {
		fillBits(b.row(y), r.Min.X, r.Max.X)
	}
}

// Row yields the runs of set pixels of row y as half-open intervals x0, x1 from
// left to right; y is inside the mask.
func (b *Bitmap) Row(y int) iter.Seq2[int, int] {
	return func(yield func(x0, x1 int) bool) {
		words := b.row(y)
		for x := 0; ; {
			x0 := nextBit(words, x, 0)
			if x0 >= b.Width {
				return
			}
			x = min(nextBit(words, x0, ^uint64(0)), b.Width)
			if !yield(x0, x) {
				return
			}
		}
	}
}

// Area returns the number of set pixels.
func (b *Bitmap) Area() int {
	n := 0
	for _, w := range b.Words {
		n += bits.OnesCount64(w)
	}
	return n
}

// Empty reports whether no pixel is set.
func (b *Bitmap) Empty() bool {
	for _, w := range b.Words {
		if w != 0 {
			return false
		}
	}
	return true
}

// Box returns the smallest rectangle that holds every set pixel; the zero rectangle
// if no pixel is set.
func (b *Bitmap) Box() image.Rectangle {
	top := slices.IndexFunc(b.Words, func(w uint64) bool { return w != 0 })
	if top < 0 {
		return image.Rectangle{}
	}
	bottom := len(b.Words) - 1
	for b.Words[bottom] == 0 {
		bottom--
	}
	box := image.Rectangle{Min: image.Pt(b.Width, top/b.Stride), Max: image.Pt(0, bottom/b.Stride+1)}
	for y := box.Min.Y; y < box.Max.Y; y++ {
		words := b.row(y)
		// Only words that can move an edge outwards are looked at.
		for i := 0; i<<6 < box.Min.X && i < len(words); i++ {
			if words[i] != 0 {
				box.Min.X = min(box.Min.X, i<<6+bits.TrailingZeros64(words[i]))
			}
		}
		for i := len(words) - 1; i >= 0 && (i+1)<<6 > box.Max.X; i-- {
			if words[i] != 0 {
				box.Max.X = max(box.Max.X, i<<6+bits.Len64(words[i]))
			}
		}
	}
	return box
}

// Clone returns a copy that shares nothing with b.
func (b *Bitmap) Clone() *Bitmap {
	c := *b
	c.Words = slices.Clone(b.Words)
	return &c
}

// Equal reports whether both masks have the same size and the same pixels.
func (b *Bitmap) Equal(o *Bitmap) bool {
	if b.Width != o.Width || b.Height != o.Height {
		return false
	}
	for y := range b.Height {
		if !slices.Equal(b.row(y), o.row(y)) {
			return false
		}
	}
	return true
}

// Bounds returns the rectangle (0, 0)–(Width, Height).
func (b *Bitmap) Bounds() image.Rectangle { return image.Rect(0, 0, b.Width, b.Height) }

// ColorModel returns color.AlphaModel.
func (b *Bitmap) ColorModel() color.Model { return color.AlphaModel }

// At returns color.Alpha{255} where the mask is set and color.Alpha{0} elsewhere.
func (b *Bitmap) At(x, y int) color.Color {
	if b.Get(x, y) {
		return color.Alpha{A: 0xff}
	}
	return color.Alpha{}
}

// Gray returns the mask as a grey picture, 255 where set and 0 elsewhere: the
// usual form of a mask file.
func (b *Bitmap) Gray() *image.Gray {
	g := image.NewGray(b.Bounds())
	for y := range b.Height {
		for x0, x1 := range b.Row(y) {
			run := g.Pix[y*g.Stride+x0 : y*g.Stride+x1]
			for i := range run {
				run[i] = 0xff
			}
		}
	}
	return g
}

// FromImage returns the mask of the pixels of m that are neither black nor
// wholly transparent. The bounds of m are moved to (0, 0). It undoes
// [Bitmap.Gray], and reads masks written with 0 and 1 as well.
func FromImage(m image.Image) *Bitmap {
	r := m.Bounds()
	b := NewBitmap(r.Dx(), r.Dy())
	gray, isGray := m.(*image.Gray)
	for y := range b.Height {
		words := b.row(y)
		if isGray {
			for x, v := range gray.Pix[y*gray.Stride:][:b.Width] {
				if v != 0 {
					words[x>>6] |= 1 << (x & 63)
				}
			}
			continue
		}
		for x := range b.Width {
			if red, green, blue, _ := m.At(r.Min.X+x, r.Min.Y+y).RGBA(); red|green|blue != 0 {
				words[x>>6] |= 1 << (x & 63)
			}
		}
	}
	return b
}

// row returns the words of row y.
func (b *Bitmap) row(y int) []uint64 {
	n := (b.Width + 63) >> 6
	return b.Words[y*b.Stride:][:n:n]
}

// fillBits sets the bits [from, to) of words.
func fillBits(words []uint64, from, to int) {
	if from >= to {
		return
	}
	first, last := from>>6, (to-1)>>6
	head, tail := ^uint64(0)<<(from&63), ^uint64(0)>>(63-(to-1)&63)
	if first == last {
		words[first] |= head & tail
		return
	}
	words[first] |= head
	for i := first + 1; i < last; i++ {
		words[i] = ^uint64(0)
	}
	words[last] |= tail
}

// nextBit returns the first position at or after from whose bit of words, xored with
// flip, is set; len(words)*64 if there is none.
func nextBit(words []uint64, from int, flip uint64) int {
	i := from >> 6
	if i >= len(words) {
		return len(words) << 6
	}
	w := (words[i] ^ flip) &^ (1<<(from&63) - 1)
	for w == 0 {
		if i++; i == len(words) {
			return i << 6
		}
		w = words[i] ^ flip
	}
	return i<<6 + bits.TrailingZeros64(w)
}
