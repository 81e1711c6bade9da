package jpeg

import (
	"image"
	"image/color"
)

// YCCK is a picture of inks, of which three are coded as luma and chroma: cyan, magenta and
// yellow are the red, green and blue that these stand for.
type YCCK struct {
	image.YCbCr
	K []uint8 // black, as many in a row as the picture is wide
}

// ColorModel returns color.CMYKModel.
func (m *YCCK) ColorModel() color.Model { return color.CMYKModel }

// At returns the inks of a pixel.
func (m *YCCK) At(x, y int) color.Color {
	if !(image.Point{X: x, Y: y}).In(m.Rect) {
		return color.CMYK{}
	}
	c := m.YCbCrAt(x, y)
	r, g, b := color.YCbCrToRGB(c.Y, c.Cb, c.Cr)
	return color.CMYK{C: r, M: g, Y: b, K: m.K[(y-m.Rect.Min.Y)*m.Rect.Dx()+x-m.Rect.Min.X]}
}

var ratios = map[[2]int]image.YCbCrSubsampleRatio{
	{1, 1}: image.YCbCrSubsampleRatio444, {2, 1}: image.YCbCrSubsampleRatio422, {2, 2}: image.YCbCrSubsampleRatio420,
	{1, 2}: image.YCbCrSubsampleRatio440, {4, 1}: image.YCbCrSubsampleRatio411, {4, 2}: image.YCbCrSubsampleRatio410,
}

// isRGB reports whether three components are red, green and blue.
func (d *decoder) isRGB() bool {
	c := d.components
	return !d.jfif && (d.adobe == 0 || d.adobe < 0 && c[0].id == 'R' && c[1].id == 'G' && c[2].id == 'B')
}

// image returns the picture that the planes are without further ado, or nil.
func (d *decoder) image() image.Image {
	c := d.components
	rect := image.Rect(0, 0, d.width, d.height)
	switch {
	case len(c) == 1:
		return &image.Gray{Pix: c[0].pix, Stride: 8 * c[0].stride, Rect: rect}
	case len(c) == 3 && !d.isRGB():
		if m := d.colours(); m != nil {
			return m
		}
	}
	return nil
}

// colours returns the first three planes as luma and chroma, or nil if there is no such type.
func (d *decoder) colours() *image.YCbCr {
	c := d.components
	if c[0].h%c[1].h != 0 || c[0].v%c[1].v != 0 || c[1].h != c[2].h || c[1].v != c[2].v {
		return nil
	}
	for _, other := range c {
		if other.h > c[0].h || other.v > c[0].v {
			return nil
		}
	}
	ratio, ok := ratios[[2]int{c[0].h / c[1].h, c[0].v / c[1].v}]
	if !ok {
		return nil
	}
	return &image.YCbCr{
		Y: c[0].pix, Cb: c[1].pix, Cr: c[2].pix, YStride: 8 * c[0].stride, CStride: 8 * c[1].stride,
		SubsampleRatio: ratio, Rect: image.Rect(0, 0, d.width, d.height),
	}
}

// whole puts planes of any sizes together.
func (d *decoder) whole() image.Image {
	c := d.components
	rect := image.Rect(0, 0, d.width, d.height)
	direct := len(c) == 3 && d.isRGB() || len(c) == 4 && d.adobe <= 0 // red, green and blue, or inks
	ycc := d.colours()
	if ycc == nil || direct {
		ycc = &image.YCbCr{Y: d.full(c[0]), Cb: d.full(c[1]), Cr: d.full(c[2]), YStride: d.width, CStride: d.width, Rect: rect}
	}
	switch {
	case len(c) == 3 && !direct:
		return ycc
	case !direct:
		m := &YCCK{YCbCr: *ycc, K: d.full(c[3])}
		for i, v := range m.K {
			m.K[i] = 255 - v
		}
		return m
	}
	out := make([]uint8, 4*d.width*d.height)
	if len(c) == 3 {
		for i, r := range ycc.Y {
			p := out[4*i:][:4]
			p[0], p[1], p[2], p[3] = r, ycc.Cb[i], ycc.Cr[i], 255
		}
		return &image.RGBA{Pix: out, Stride: 4 * d.width, Rect: rect}
	}
	for i, k := range d.full(c[3]) {
		p := out[4*i:][:4]
		p[0], p[1], p[2], p[3] = 255-ycc.Y[i], 255-ycc.Cb[i], 255-ycc.Cr[i], 255-k
	}
	return &image.CMYK{Pix: out, Stride: 4 * d.width, Rect: rect}
}

// full returns a plane at full size. Samples that stand for two pixels across, down, or both are
// interpolated as libjpeg does it, and others repeated.
func (d *decoder) full(c *component) []uint8 {
	h, v := 1, 1
	for _, other := range d.components {
		h, v = max(h, other.h), max(v, other.v)
	}
	width, height := (d.width*c.h+h-1)/h, (d.height*c.v+v-1)/v
	wide, high := h == 2*c.h && width > 2, v == 2*c.v
	if high && h != c.h && !wide || wide && v != c.v && !high {
		wide, high = false, false
	}
	// near returns the sample for a pixel, and where the next nearest one is.
	near := func(at, size int, half bool, factor, most int) (sample, next int) {
		if !half {
			return at * factor / most, at * factor / most
		}
		return at / 2, max(0, min(at/2-1+at%2*2, size-1))
	}
	out := make([]uint8, 0, d.width*d.height)
	for y := range d.height {
		row, next := near(y, height, high, c.v, v)
		first, second := c.pix[row*8*c.stride:][:width], c.pix[next*8*c.stride:][:width]
		for x := range d.width {
			i, j := near(x, width, wide, c.h, h)
			sum := 9*int(first[i]) + 3*int(second[i]) + 3*int(first[j]) + int(second[j])
			switch {
			case wide && high:
				sum += 8 - x%2
			case wide:
				sum += 4 + x%2*4
			case high:
				sum += 4 + y%2*4
			}
			out = append(out, uint8(sum>>4))
		}
	}
	return out
}
