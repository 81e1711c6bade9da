package mask

import (
	"errors"
	"fmt"
	"image"
	"iter"
	"math"
	"math/bits"
	"slices"
)

// A Bitmap is a binary mask of a picture of Width × Height pixels. It stores the pixels
// inside Rect, one bit each; all others are unset. A small object on a large picture
// therefore takes little memory, and what is computed of it little time.
//
// Row y of Rect starts at word (y-Rect.Min.Y)*Stride. Words are aligned to the picture:
// pixel (x, y) is bit x&63, lowest first, of word x>>6 - Rect.Min.X>>6 of its row. Bits
// outside Rect are zero; code that writes Words must keep them so.
//
// It is an [image.Image] of color.Alpha (set is opaque, unset transparent) with the
// bounds of the whole picture, (0, 0)–(Width, Height), so it serves as the mask of
// draw.DrawMask. [Bitmap.Box] is the smallest rectangle around the set pixels.
type Bitmap struct {
	Width, Height int
	Rect          image.Rectangle
	Stride        int
	Words         []uint64
}

// NewBitmap returns an empty mask of width × height pixels that stores all of them. Like
// the constructors of package image it panics if a side is negative or the size
// overflows an int.
func NewBitmap(width, height int) *Bitmap {
	return NewBitmapIn(width, height, image.Rectangle{Max: image.Pt(width, height)})
}

// NewBitmapIn returns an empty mask of width × height pixels that stores those in r. The
// part of r outside the mask is ignored. It panics as NewBitmap does.
func NewBitmapIn(width, height int, r image.Rectangle) *Bitmap {
	if width < 0 || height < 0 {
		panic(fmt.Sprintf("mask: NewBitmap of negative size %d×%d", width, height))
	}
	b := &Bitmap{Width: width, Height: height}
	if r = r.Intersect(b.Bounds()); r.Empty() {
		return b
	}
	b.Rect, b.Stride = r, wordsOf(r)
	if r.Dy() > math.MaxInt/8/b.Stride {
		panic(fmt.Sprintf("mask: NewBitmap of huge size %d×%d", r.Dx(), r.Dy()))
	}
	b.Words = make([]uint64, b.Stride*r.Dy())
	return b
}

// wordsOf is the number of words that a row of a rectangle that is not empty takes.
func wordsOf(r image.Rectangle) int { return (r.Max.X-1)>>6 - r.Min.X>>6 + 1 }

// Validate reports what is wrong with fields that were set by hand: a negative size, a
// Rect that leaves the picture, a stride below the words of a row, or too few words.
func (b *Bitmap) Validate() error {
	switch {
	case b == nil:
		return errors.New("mask: the bitmap is nil")
	case b.Width < 0 || b.Height < 0:
		return fmt.Errorf("mask: bitmap of negative size %d×%d", b.Width, b.Height)
	case b.Rect.Empty():
		if len(b.Words) > 0 {
			return fmt.Errorf("mask: bitmap with %d words but an empty Rect: set Rect to the part of the picture that they cover", len(b.Words))
		}
		return nil
	case !b.Rect.In(b.Bounds()):
		return fmt.Errorf("mask: bitmap of %d×%d pixels: its Rect %v leaves the picture", b.Width, b.Height, b.Rect)
	}
	row := wordsOf(b.Rect)
	if b.Stride < row || len(b.Words) < row || b.Rect.Dy()-1 > (len(b.Words)-row)/b.Stride {
		return fmt.Errorf("mask: bitmap of %d×%d pixels: %d words with a stride of %d are too few", b.Rect.Dx(), b.Rect.Dy(), len(b.Words), b.Stride)
	}
	return nil
}

// Get reports whether pixel (x, y) is set. Outside the mask nothing is.
func (b *Bitmap) Get(x, y int) bool {
	if x < b.Rect.Min.X || x >= b.Rect.Max.X || y < b.Rect.Min.Y || y >= b.Rect.Max.Y {
		return false
	}
	return b.Words[b.index(image.Pt(x, y))]>>(x&63)&1 != 0
}

// Set writes pixel (x, y). Outside the mask it does nothing. Setting a pixel outside Rect
// enlarges Rect, by more than the pixel so that setting many is fast.
func (b *Bitmap) Set(x, y int, v bool) {
	if x < b.Rect.Min.X || x >= b.Rect.Max.X || y < b.Rect.Min.Y || y >= b.Rect.Max.Y {
		if !v || uint(x) >= uint(b.Width) || uint(y) >= uint(b.Height) {
			return
		}
		b.enlarge(x, y)
	}
	word, bit := &b.Words[b.index(image.Pt(x, y))], uint64(1)<<(x&63)
	if v {
		*word |= bit
	} else {
		*word &^= bit
	}
}

// enlarge makes room for a pixel of the picture, and for others beyond it.
func (b *Bitmap) enlarge(x, y int) {
	r := b.Rect
	dx, dy := max(64, r.Dx()/2), max(16, r.Dy()/2)
	if r.Empty() {
		r = image.Rect(x, y, x+1, y+1)
	}
	if x < r.Min.X {
		r.Min.X = max(x-dx, 0)
	}
	if y < r.Min.Y {
		r.Min.Y = max(y-dy, 0)
	}
	if x >= r.Max.X {
		r.Max.X = x + dx
	}
	if y >= r.Max.Y {
		r.Max.Y = y + dy
	}
	b.Grow(r)
}

// Grow makes b store the pixels of r, too, as far as they lie inside the mask: Rect
// becomes the union of both and Words new memory if need be. b.Grow(b.Bounds()) makes it a
// mask that stores the whole picture.
func (b *Bitmap) Grow(r image.Rectangle) {
	if r = r.Intersect(b.Bounds()); r.In(b.Rect) {
		return
	}
	out := NewBitmapIn(b.Width, b.Height, b.Rect.Union(r))
	join(out, b, b.Rect, copyWords)
	*b = *out
}

// Fill sets every pixel of r that lies inside the mask.
func (b *Bitmap) Fill(r image.Rectangle) {
	r = r.Intersect(b.Bounds())
	b.Grow(r)
	origin := b.Rect.Min.X &^ 63
	for y := r.Min.Y; y < r.Max.Y; y++ {
		fillBits(b.row(y), r.Min.X-origin, r.Max.X-origin)
	}
}

// Row yields the runs of set pixels of row y as half-open intervals x0, x1 from
// left to right.
func (b *Bitmap) Row(y int) iter.Seq2[int, int] {
	return func(yield func(x0, x1 int) bool) {
		if y < b.Rect.Min.Y || y >= b.Rect.Max.Y {
			return
		}
		words, origin := b.row(y), b.Rect.Min.X&^63
		end := b.Rect.Max.X - origin
		for x := 0; ; {
			x0 := nextBit(words, x, 0)
			if x0 >= end {
				return
			}
			x = min(nextBit(words, x0, ^uint64(0)), end)
			if !yield(origin+x0, origin+x) {
				return
			}
		}
	}
}

// A Run is a stretch of set pixels of row Y: those from X0 to X1, which is excluded.
type Run struct{ Y, X0, X1 int }

// Runs yields the runs of set pixels row by row from the top, from left to right. It looks
// at nothing outside Rect.
func (b *Bitmap) Runs() iter.Seq[Run] {
	return func(yield func(Run) bool) {
		for y := b.Rect.Min.Y; y < b.Rect.Max.Y; y++ {
			for x0, x1 := range b.Row(y) {
				if !yield(Run{y, x0, x1}) {
					return
				}
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
	origin := b.Rect.Min.X &^ 63
	left, right := b.Rect.Max.X-origin, 0
	for y := top / b.Stride; y <= bottom/b.Stride; y++ {
		words := b.row(b.Rect.Min.Y + y)
		// Only words that can move an edge outwards are looked at.
		for i := 0; i<<6 < left && i < len(words); i++ {
			if words[i] != 0 {
				left = min(left, i<<6+bits.TrailingZeros64(words[i]))
			}
		}
		for i := len(words) - 1; i >= 0 && (i+1)<<6 > right; i-- {
			if words[i] != 0 {
				right = max(right, i<<6+bits.Len64(words[i]))
			}
		}
	}
	return image.Rect(origin+left, b.Rect.Min.Y+top/b.Stride, origin+right, b.Rect.Min.Y+bottom/b.Stride+1)
}

// Clone returns a copy that shares nothing with b.
func (b *Bitmap) Clone() *Bitmap {
	c := *b
	c.Words = slices.Clone(b.Words)
	return &c
}

// Equal reports whether both masks have the same size and the same pixels, wherever their
// Rects lie. Nil equals nil only.
func (b *Bitmap) Equal(o *Bitmap) bool {
	if b == nil || o == nil {
		return b == o
	}
	if b.Width != o.Width || b.Height != o.Height {
		return false
	}
	r := b.Rect
	if r != o.Rect {
		if r = b.Box(); r != o.Box() {
			return false
		}
	}
	equal := true
	join(b, o, r, func(mine, other []uint64) { equal = equal && slices.Equal(mine, other) })
	return equal
}

// index returns the index of the word that holds a pixel inside Rect.
func (b *Bitmap) index(p image.Point) int {
	return (p.Y-b.Rect.Min.Y)*b.Stride + p.X>>6 - b.Rect.Min.X>>6
}

// row returns the words of row y, which is inside Rect.
func (b *Bitmap) row(y int) []uint64 {
	n := wordsOf(b.Rect)
	return b.Words[(y-b.Rect.Min.Y)*b.Stride:][:n:n]
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
