package picture

import (
	"image"
	"image/color"
	"math"
)

// Float is a picture with samples that package image has no type for: signed ones, ones of
// more than 16 bits, and floating-point numbers. Pix has Samples numbers per pixel, 1
// (grey) or 3 (red, green, blue), row by row without gaps.
type Float struct {
	Pix     []float64
	Samples int
	Rect    image.Rectangle
	// Black and White are the samples that At shows as black and white: the least and the
	// greatest finite one.
	Black, White float64
}

// NewFloat returns a picture of width × height pixels with the given samples, which it keeps.
// It panics unless there are width·height·samples of them and samples is 1 or 3.
func NewFloat(pix []float64, width, height, samples int) *Float {
	if samples != 1 && samples != 3 || len(pix) != width*height*samples {
		panic("picture: NewFloat: the number of samples does not fit")
	}
	f := &Float{Pix: pix, Samples: samples, Rect: image.Rect(0, 0, width, height)}
	f.Black, f.White = extent(pix)
	return f
}

// extent returns the least and the greatest finite value: 0 and 0 if there is none.
func extent(pix []float64) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, v := range pix {
		if v-v == 0 { // finite
			low, high = min(low, v), max(high, v)
		}
	}
	if low > high {
		return 0, 0
	}
	return low, high
}

// ColorModel returns color.RGBA64Model.
func (f *Float) ColorModel() color.Model { return color.RGBA64Model }

// Bounds returns f.Rect.
func (f *Float) Bounds() image.Rectangle { return f.Rect }

// At returns the pixel at (x, y) with Black to White as 0 to 65535. Samples beyond are
// clipped, and those that are not numbers are black.
func (f *Float) At(x, y int) color.Color {
	if !(image.Point{X: x, Y: y}).In(f.Rect) {
		return color.RGBA64{}
	}
	at := ((y-f.Rect.Min.Y)*f.Rect.Dx() + x - f.Rect.Min.X) * f.Samples
	level := func(i int) uint16 {
		v := (f.Pix[at+i] - f.Black) / (f.White - f.Black)
		if !(v > 0) {
			return 0
		}
		return uint16(min(v, 1)*65535 + 0.5)
	}
	if f.Samples == 1 {
		v := level(0)
		return color.RGBA64{R: v, G: v, B: v, A: 65535}
	}
	return color.RGBA64{R: level(0), G: level(1), B: level(2), A: 65535}
}

// row writes row y as RGB bytes: samples clipped to 0 to 255.
func (f *Float) row(y int, rgb []uint8) {
	n := f.Samples
	pix := f.Pix[(y-f.Rect.Min.Y)*f.Rect.Dx()*n:]
	for i := range rgb {
		at := i
		if n == 1 {
			at = i / 3
		}
		rgb[i] = byteOf(pix[at])
	}
}

// byteOf rounds a number and clips it to 0 to 255. What is not a number is 0.
func byteOf(v float64) uint8 {
	if !(v > 0) {
		return 0
	}
	return uint8(min(v, 255) + 0.5)
}
