// Package imagecheck says what is wrong with a picture before its pixels are read: the
// types of package image have exported fields, which need not fit each other, and a
// caller's own type may do anything.
package imagecheck

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"math"
	"reflect"

	"github.com/diffusioninst/go/internal/nilcheck"
)

// Check returns the size of a picture and, in words, why its pixels cannot be read: it is
// nil, its bounds leave the range of an int, or the planes of a type of package image are
// shorter than its bounds and strides say. A picture without pixels is sound.
func Check(img image.Image) (width, height int, err error) {
	if nilcheck.Is(img) {
		return 0, 0, errors.New("there is no picture")
	}
	var b image.Rectangle
	if err := Guard(func() { b = img.Bounds() }); err != nil {
		return 0, 0, err
	}
	if b.Empty() {
		return 0, 0, nil
	}
	// Twice the sides must not overflow, either.
	const far = math.MaxInt / 4
	if b.Min.X < -far || b.Min.Y < -far || b.Max.X > far || b.Max.Y > far {
		return 0, 0, fmt.Errorf("its bounds %v are out of range", b)
	}
	width, height = b.Dx(), b.Dy()
	for _, p := range planes(img, width, height) {
		if err := p.check(); err != nil {
			return width, height, err
		}
	}
	if m, ok := img.(*image.Paletted); ok {
		err = checkPalette(m)
	}
	return width, height, err
}

// Guard returns an error if reading a picture panics, as a caller's own type may.
func Guard(read func()) (err error) {
	defer func() {
		if r := recover(); r != nil {
			if cause, ok := r.(error); ok {
				err = fmt.Errorf("reading it panicked: %w", cause)
			} else {
				err = fmt.Errorf("reading it panicked: %v", r)
			}
		}
	}()
	read()
	return nil
}

// plane is samples of a picture: rows of width samples of so many bytes.
type plane struct {
	name          string
	length        int // bytes that there are
	stride, bytes int
	width, height int
	overlap       bool // rows may overlap
}

// check reports planes that are shorter than their rows.
func (p plane) check() error {
	row := p.width * p.bytes
	if p.width > p.length/p.bytes {
		return fmt.Errorf("%s has %d bytes, fewer than a row of %d samples takes", p.name, p.length, p.width)
	}
	if p.stride < row && !(p.overlap && p.stride > 0) {
		return fmt.Errorf("a stride of %d bytes in %s, fewer than a row's %d", p.stride, p.name, row)
	}
	if p.height-1 > (p.length-row)/p.stride {
		return fmt.Errorf("%s has %d bytes, too few for %d rows that are %d apart", p.name, p.length, p.height, p.stride)
	}
	return nil
}

// planes returns the planes of the types of package image; none of another type.
func planes(img image.Image, w, h int) []plane {
	one := func(pix []uint8, stride, bytes int) []plane {
		return []plane{{name: "Pix", length: len(pix), stride: stride, bytes: bytes, width: w, height: h}}
	}
	switch m := img.(type) {
	case *image.RGBA:
		return one(m.Pix, m.Stride, 4)
	case *image.NRGBA:
		return one(m.Pix, m.Stride, 4)
	case *image.RGBA64:
		return one(m.Pix, m.Stride, 8)
	case *image.NRGBA64:
		return one(m.Pix, m.Stride, 8)
	case *image.Gray:
		return one(m.Pix, m.Stride, 1)
	case *image.Gray16:
		return one(m.Pix, m.Stride, 2)
	case *image.Alpha:
		return one(m.Pix, m.Stride, 1)
	case *image.Alpha16:
		return one(m.Pix, m.Stride, 2)
	case *image.CMYK:
		return one(m.Pix, m.Stride, 4)
	case *image.Paletted:
		return one(m.Pix, m.Stride, 1)
	case *image.YCbCr:
		return ycbcr(m, w, h)
	case *image.NYCbCrA:
		return append(ycbcr(&m.YCbCr, w, h), plane{name: "A", length: len(m.A), stride: m.AStride, bytes: 1, width: w, height: h})
	}
	return nil
}

// ycbcr returns the planes of a picture of luma and chroma, of which the latter has a
// sample for several pixels.
func ycbcr(m *image.YCbCr, w, h int) []plane {
	across, down := 1, 1
	switch m.SubsampleRatio {
	case image.YCbCrSubsampleRatio422:
		across = 2
	case image.YCbCrSubsampleRatio420:
		across, down = 2, 2
	case image.YCbCrSubsampleRatio440:
		down = 2
	case image.YCbCrSubsampleRatio411:
		across = 4
	case image.YCbCrSubsampleRatio410:
		across, down = 4, 2
	}
	// As in image.YCbCr.COffset, divisions round towards zero. Of negative coordinates
	// image.NewYCbCr then makes rows one sample too short, of which most can be read.
	r := m.Rect
	cw, ch := (r.Max.X-1)/across-r.Min.X/across+1, (r.Max.Y-1)/down-r.Min.Y/down+1
	short := r.Min.X < 0 || r.Min.Y < 0
	return []plane{
		{name: "Y", length: len(m.Y), stride: m.YStride, bytes: 1, width: w, height: h},
		{name: "Cb", length: len(m.Cb), stride: m.CStride, bytes: 1, width: cw, height: ch, overlap: short},
		{name: "Cr", length: len(m.Cr), stride: m.CStride, bytes: 1, width: cw, height: ch, overlap: short},
	}
}

// checkPalette reports colours that are missing. The planes are checked already.
func checkPalette(m *image.Paletted) error {
	for i, c := range m.Palette {
		if c == nil || isNilColor(c) {
			return fmt.Errorf("colour %d of its palette is nil", i)
		}
	}
	colours := len(m.Palette)
	if colours > math.MaxUint8 {
		return nil
	}
	w := m.Rect.Dx()
	for y := range m.Rect.Dy() {
		for x, index := range m.Pix[y*m.Stride:][:w] {
			if int(index) >= colours {
				return fmt.Errorf("pixel (%d, %d) has colour %d of a palette of %d", m.Rect.Min.X+x, m.Rect.Min.Y+y, index, colours)
			}
		}
	}
	return nil
}

func isNilColor(c color.Color) bool {
	v := reflect.ValueOf(c)
	return v.Kind() == reflect.Pointer && v.IsNil()
}
