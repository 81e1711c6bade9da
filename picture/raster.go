package picture

import (
	"image"

	"github.com/diffusioninst/go/internal/tiff"
)

// rasterOf copies the samples of a picture of 8 or 16 bits, grey or red, green and blue,
// without alpha.
func rasterOf(img image.Image) *tiff.Raster {
	img = pixelsOf(img)
	b := img.Bounds()
	r := &tiff.Raster{Width: b.Dx(), Height: b.Dy(), Samples: 3}
	if f, ok := img.(*Float); ok {
		r.Samples, r.F64 = f.Samples, f.Pix
		return r
	}
	if !isDeep(img) {
		r.U8 = RGB(img)
		return r
	}
	rows, n := deepRows(img)
	r.Samples, r.U16 = n, make([]uint16, n*b.Dx()*b.Dy())
	for y := range b.Dy() {
		rows(b.Min.Y+y, r.U16[y*n*b.Dx():][:n*b.Dx()])
	}
	return r
}

// imageOf returns the picture of samples that are grey, or red, green and blue.
func imageOf(r *tiff.Raster) image.Image {
	rect := image.Rect(0, 0, r.Width, r.Height)
	switch {
	case r.U8 != nil:
		m := image.NewRGBA(rect)
		for i, at := 0, 0; i+3 < len(m.Pix); i, at = i+4, at+r.Samples {
			p := m.Pix[i:][:4]
			p[0], p[1], p[2], p[3] = r.U8[at], r.U8[at+r.Samples/2], r.U8[at+r.Samples-1], 255
		}
		return m
	case r.U16 != nil && r.Samples == 1:
		m := image.NewGray16(rect)
		for i, v := range r.U16 {
			m.Pix[2*i], m.Pix[2*i+1] = uint8(v>>8), uint8(v)
		}
		return m
	case r.U16 != nil:
		m := image.NewRGBA64(rect)
		for i, at := 0, 0; i+7 < len(m.Pix); i, at = i+8, at+3 {
			p := m.Pix[i:][:8]
			for k, v := range r.U16[at:][:3] {
				p[2*k], p[2*k+1] = uint8(v>>8), uint8(v)
			}
			p[6], p[7] = 255, 255
		}
		return m
	}
	return NewFloat(r.F64, r.Width, r.Height, r.Samples)
}

// turned returns the raster as its orientation says.
func (t turning) turned(r *tiff.Raster) *tiff.Raster {
	if t <= upright || t > 8 {
		return r
	}
	out := &tiff.Raster{Width: r.Width, Height: r.Height, Samples: r.Samples}
	if t > 4 {
		out.Width, out.Height = r.Height, r.Width
	}
	out.U8, out.U16, out.F64 = turnedPixels(t, r, r.U8), turnedPixels(t, r, r.U16), turnedPixels(t, r, r.F64)
	return out
}

func turnedPixels[T any](t turning, r *tiff.Raster, pix []T) []T {
	if pix == nil {
		return nil
	}
	w, h, n := r.Width, r.Height, r.Samples
	origin, right, down := t.steps(w, h)
	out := make([]T, len(pix))
	for y := range h {
		for x := range w {
			copy(out[(origin+x*right+y*down)*n:][:n], pix[(y*w+x)*n:][:n])
		}
	}
	return out
}
