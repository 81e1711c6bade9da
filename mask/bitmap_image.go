package mask

import (
	"image"
	"image/color"
)

// Bounds returns the rectangle (0, 0)–(Width, Height): the whole picture's, whatever part
// of it is stored.
func (b *Bitmap) Bounds() image.Rectangle {
	return image.Rectangle{Max: image.Pt(max(b.Width, 0), max(b.Height, 0))}
}

// ColorModel returns color.AlphaModel.
func (b *Bitmap) ColorModel() color.Model { return color.AlphaModel }

// At returns color.Alpha{255} where the mask is set and color.Alpha{0} elsewhere.
func (b *Bitmap) At(x, y int) color.Color {
	if b.Get(x, y) {
		return color.Alpha{A: 0xff}
	}
	return color.Alpha{}
}

// Gray returns the whole mask as a grey picture, 255 where set and 0 elsewhere: the usual
// form of a mask file. That of its box alone is b.Crop(b.Box()).Gray().
func (b *Bitmap) Gray() *image.Gray {
	g := image.NewGray(b.Bounds())
	for r := range b.Runs() {
		run := g.Pix[r.Y*g.Stride+r.X0 : r.Y*g.Stride+r.X1]
		for i := range run {
			run[i] = 0xff
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
	for y := b.Rect.Min.Y; y < b.Rect.Max.Y; y++ {
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
