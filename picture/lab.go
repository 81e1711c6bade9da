package picture

import (
	"math"

	"github.com/diffusioninst/go/internal/tiff"
)

// lab converts L*a*b* with the white of D50, as Photoshop writes it, to sRGB. In CIELab a and b
// are signed; in ICCLab they have an offset.
func lab(p *tiff.Page, r *tiff.Raster) (*tiff.Raster, error) {
	n := r.Width * r.Height
	if r.Samples == 1 || r.F64 != nil || p.Bits != 8 && p.Bits != 16 || p.Photometric == tiff.ITULab {
		return nil, unsupported(p, "L*a*b*")
	}
	sample := func(i int) float64 { return float64(r.U8[i]) }
	lightness, unit, middle := 100.0/255, 1.0, 128.0
	signed := func(i int) float64 { return float64(int8(r.U8[i])) }
	if r.U16 != nil {
		sample = func(i int) float64 { return float64(r.U16[i]) }
		lightness, unit, middle = 100.0/65535, 1.0/256, 32768
		signed = func(i int) float64 { return float64(int16(r.U16[i])) }
	}
	chroma := func(i int) float64 {
		if p.Photometric == tiff.CIELab {
			return signed(i) * unit
		}
		return (sample(i) - middle) * unit
	}
	out := &tiff.Raster{Width: r.Width, Height: r.Height, Samples: 3}
	if r.U16 != nil {
		out.U16 = make([]uint16, 3*n)
	} else {
		out.U8 = make([]uint8, 3*n)
	}
	for i := range n {
		for k, v := range labToSRGB(sample(3*i)*lightness, chroma(3*i+1), chroma(3*i+2)) {
			if r.U16 != nil {
				out.U16[3*i+k] = uint16(v*65535 + 0.5)
			} else {
				out.U8[3*i+k] = uint8(v*255 + 0.5)
			}
		}
	}
	return out, nil
}

// labToSRGB returns red, green and blue from 0 to 1.
func labToSRGB(l, a, b float64) [3]float64 {
	inverse := func(t float64) float64 {
		if t > 6.0/29 {
			return t * t * t
		}
		return 3 * (6.0 / 29) * (6.0 / 29) * (t - 4.0/29)
	}
	fy := (l + 16) / 116
	x, y, z := 0.9642*inverse(fy+a/500), inverse(fy), 0.8249*inverse(fy-b/200)
	// XYZ of D50 to linear sRGB: Bradford's adaptation to D65 is part of the matrix.
	linear := [3]float64{
		3.1338561*x - 1.6168667*y - 0.4906146*z,
		-0.9787684*x + 1.9161415*y + 0.0334540*z,
		0.0719453*x - 0.2289914*y + 1.4052427*z,
	}
	for k, v := range linear {
		v = max(0, min(v, 1))
		if v <= 0.0031308 {
			linear[k] = 12.92 * v
		} else {
			linear[k] = 1.055*math.Pow(v, 1/2.4) - 0.055
		}
	}
	return linear
}
