// Package hostile makes pictures that cannot be read, for the tests of everything that
// takes a picture.
package hostile

import (
	"image"
	"image/color"
	"math"
)

// Pictures returns pictures of at least 4×4 pixels, by what is wrong with them.
func Pictures() map[string]image.Image {
	out := map[string]image.Image{
		"nil": nil, "typed nil of a caller": (*own)(nil), "At panics": &own{image.Rect(0, 0, 8, 8)}, "nil function": function(nil),
		"RGBA, nil": (*image.RGBA)(nil), "NRGBA, nil": (*image.NRGBA)(nil), "RGBA64, nil": (*image.RGBA64)(nil), "NRGBA64, nil": (*image.NRGBA64)(nil),
		"Gray, nil": (*image.Gray)(nil), "Gray16, nil": (*image.Gray16)(nil), "Alpha, nil": (*image.Alpha)(nil), "Alpha16, nil": (*image.Alpha16)(nil),
		"CMYK, nil": (*image.CMYK)(nil), "Paletted, nil": (*image.Paletted)(nil), "YCbCr, nil": (*image.YCbCr)(nil), "NYCbCrA, nil": (*image.NYCbCrA)(nil),
		"Uniform, nil":     (*image.Uniform)(nil),
		"palette is short": &image.Paletted{Pix: filled(64, 3), Stride: 8, Rect: image.Rect(0, 0, 8, 8), Palette: color.Palette{color.Black, color.White}},
		"palette is empty": &image.Paletted{Pix: make([]uint8, 64), Stride: 8, Rect: image.Rect(0, 0, 8, 8)},
		"palette has nil":  &image.Paletted{Pix: make([]uint8, 64), Stride: 8, Rect: image.Rect(0, 0, 8, 8), Palette: color.Palette{nil}},
		"bounds overflow":  &image.RGBA{Pix: make([]uint8, 256), Stride: 32, Rect: image.Rectangle{Min: image.Pt(math.MinInt, math.MinInt), Max: image.Pt(math.MaxInt, math.MaxInt)}},
		"own bounds":       &own{image.Rectangle{Min: image.Pt(math.MinInt, 0), Max: image.Pt(math.MaxInt, 8)}},
	}
	r := image.Rect(0, 0, 8, 8)
	for name, make := range map[string]func(pix []uint8, stride int) image.Image{
		"RGBA":    func(p []uint8, s int) image.Image { return &image.RGBA{Pix: p, Stride: s, Rect: r} },
		"NRGBA":   func(p []uint8, s int) image.Image { return &image.NRGBA{Pix: p, Stride: s, Rect: r} },
		"RGBA64":  func(p []uint8, s int) image.Image { return &image.RGBA64{Pix: p, Stride: s, Rect: r} },
		"NRGBA64": func(p []uint8, s int) image.Image { return &image.NRGBA64{Pix: p, Stride: s, Rect: r} },
		"Gray":    func(p []uint8, s int) image.Image { return &image.Gray{Pix: p, Stride: s, Rect: r} },
		"Gray16":  func(p []uint8, s int) image.Image { return &image.Gray16{Pix: p, Stride: s, Rect: r} },
		"Alpha":   func(p []uint8, s int) image.Image { return &image.Alpha{Pix: p, Stride: s, Rect: r} },
		"Alpha16": func(p []uint8, s int) image.Image { return &image.Alpha16{Pix: p, Stride: s, Rect: r} },
		"CMYK":    func(p []uint8, s int) image.Image { return &image.CMYK{Pix: p, Stride: s, Rect: r} },
		"Paletted": func(p []uint8, s int) image.Image {
			return &image.Paletted{Pix: p, Stride: s, Rect: r, Palette: color.Palette{color.Black}}
		},
	} {
		out[name+", short Pix"] = make(filled(63, 0), 8)
		out[name+", no Pix"] = make(nil, 64)
		for stride, what := range map[int]string{0: "stride 0", -64: "negative stride", 7: "short stride", math.MaxInt: "huge stride", math.MinInt: "least stride"} {
			out[name+", "+what] = make(filled(512, 0), stride)
		}
	}
	for ratio := image.YCbCrSubsampleRatio444; ratio <= image.YCbCrSubsampleRatio410; ratio++ {
		for what, spoil := range map[string]func(m *image.NYCbCrA){
			"short Y":      func(m *image.NYCbCrA) { m.Y = m.Y[:63] },
			"short Cb":     func(m *image.NYCbCrA) { m.Cb = m.Cb[:len(m.Cb)-1] },
			"no Cr":        func(m *image.NYCbCrA) { m.Cr = nil },
			"YStride 0":    func(m *image.NYCbCrA) { m.YStride = 0 },
			"CStride 0":    func(m *image.NYCbCrA) { m.CStride = 0 },
			"huge CStride": func(m *image.NYCbCrA) { m.CStride = math.MaxInt },
			"negative":     func(m *image.NYCbCrA) { m.YStride, m.CStride = -8, -4 },
			"larger":       func(m *image.NYCbCrA) { m.Rect.Max.X = 1 << 30 },
		} {
			m := image.NewNYCbCrA(r, ratio)
			spoil(m)
			out["YCbCr "+ratio.String()+", "+what], out["NYCbCrA "+ratio.String()+", "+what] = &m.YCbCr, m
		}
		m := image.NewNYCbCrA(r, ratio)
		m.A = nil
		out["NYCbCrA "+ratio.String()+", no A"] = m
	}
	return out
}

func filled(n int, v uint8) []uint8 {
	out := make([]uint8, n)
	for i := range out {
		out[i] = v
	}
	return out
}

// own is a type of a caller whose pixels cannot be read.
type own struct{ bounds image.Rectangle }

func (m *own) ColorModel() color.Model { return color.RGBAModel }
func (m *own) Bounds() image.Rectangle { return m.bounds }
func (m *own) At(x, y int) color.Color { panic("no pixel here") }

// function is a picture whose method runs into nil.
type function func() image.Rectangle

func (f function) ColorModel() color.Model { return color.RGBAModel }
func (f function) Bounds() image.Rectangle { return f() }
func (f function) At(x, y int) color.Color { return color.Black }
