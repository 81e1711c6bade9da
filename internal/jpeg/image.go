package jpeg

import (
	"fmt"
	"image"
)

// plane transforms a component to samples, stride apart.
func (d *decoder) plane(c *component) (pix []uint8, stride int) {
	stride = 8 * c.stride
	pix = make([]uint8, stride*8*c.rows)
	for y := range c.rows {
		for x := range c.stride {
			idct(c.block(x, y), &d.quantizers[c.table], pix[8*y*stride+8*x:], stride)
		}
	}
	c.coefficients = nil
	return pix, stride
}

var ratios = map[[2]int]image.YCbCrSubsampleRatio{
	{1, 1}: image.YCbCrSubsampleRatio444, {2, 1}: image.YCbCrSubsampleRatio422, {2, 2}: image.YCbCrSubsampleRatio420,
	{1, 2}: image.YCbCrSubsampleRatio440, {4, 1}: image.YCbCrSubsampleRatio411, {4, 2}: image.YCbCrSubsampleRatio410,
}

// image puts the planes together.
func (d *decoder) image() (image.Image, error) {
	rect := image.Rect(0, 0, d.width, d.height)
	c := d.components
	switch len(c) {
	case 1:
		pix, stride := d.plane(c[0])
		return &image.Gray{Pix: pix, Stride: stride, Rect: rect}, nil
	case 2:
		return nil, fmt.Errorf("a JPEG of 2 components is not supported")
	}
	rgb := d.adobe == 0 || d.adobe < 0 && !d.jfif && c[0].id == 'R' && c[1].id == 'G' && c[2].id == 'B'
	if len(c) == 3 && !rgb && c[0].h%c[1].h == 0 && c[0].v%c[1].v == 0 && c[1].h == c[2].h && c[1].v == c[2].v {
		if ratio, ok := ratios[[2]int{c[0].h / c[1].h, c[0].v / c[1].v}]; ok {
			m := &image.YCbCr{SubsampleRatio: ratio, Rect: rect}
			m.Y, m.YStride = d.plane(c[0])
			m.Cb, m.CStride = d.plane(c[1])
			m.Cr, _ = d.plane(c[2])
			return m, nil
		}
	}
	var planes [4][]uint8
	for i := range c {
		planes[i] = d.whole(c[i])
	}
	ycc := image.YCbCr{Y: planes[0], Cb: planes[1], Cr: planes[2], YStride: d.width, CStride: d.width, Rect: rect}
	if len(c) == 3 && !rgb {
		return &ycc, nil
	}
	out := make([]uint8, 4*d.width*d.height)
	for i := range d.width * d.height {
		p := out[4*i:][:4]
		p[0], p[1], p[2], p[3] = planes[0][i], planes[1][i], planes[2][i], 255
		if len(c) == 3 {
			continue
		}
		p[3] = planes[3][i]
		switch {
		case d.adobe > 0: // luma and chroma of inverted inks
			r, g, b, _ := ycc.YCbCrAt(i%d.width, i/d.width).RGBA()
			p[0], p[1], p[2], p[3] = uint8(r>>8), uint8(g>>8), uint8(b>>8), 255-p[3]
		case d.adobe == 0:
			for k := range p {
				p[k] = 255 - p[k]
			}
		}
	}
	if len(c) == 3 {
		return &image.RGBA{Pix: out, Stride: 4 * d.width, Rect: rect}, nil
	}
	return &image.CMYK{Pix: out, Stride: 4 * d.width, Rect: rect}, nil
}

// whole returns a plane at full size: samples are repeated.
func (d *decoder) whole(c *component) []uint8 {
	h, v := 1, 1
	for _, other := range d.components {
		h, v = max(h, other.h), max(v, other.v)
	}
	pix, stride := d.plane(c)
	out := make([]uint8, 0, d.width*d.height)
	for y := range d.height {
		row := pix[y*c.v/v*stride:]
		for x := range d.width {
			out = append(out, row[x*c.h/h])
		}
	}
	return out
}
