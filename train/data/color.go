package data

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// ColorJitter changes brightness, contrast, saturation and hue by random amounts. The
// zero value of a field leaves its property alone.
//
// With b, c, s uniform between 1 − field and 1 + field (but at least 0) and h between
// −field and field, a colour x becomes
//
//	m + c·(b·R_h(S_s(x)) − m)
//
// where S_s(x) = l(x) + s·(x − l(x)) takes the distance to the colour's own grey, its luma
// l(x), R_h turns the hue by h of a full circle around the greys with luma kept, and m is
// the mean luma of the brightened picture. It is rounded once, at the end.
type ColorJitter struct{ Brightness, Contrast, Saturation, Hue float64 }

// Apply changes the colours of s.
func (a ColorJitter) Apply(s Sample, r *rand.Rand) (Sample, error) {
	if r == nil {
		return Sample{}, errNoRandom
	}
	for _, v := range []float64{a.Brightness, a.Contrast, a.Saturation, a.Hue} {
		if !(v >= 0 && v <= math.MaxInt16) {
			return Sample{}, fmt.Errorf("data: colour jitter %+v: want numbers of at least 0", a)
		}
	}
	factor := func(by float64) float64 { return max(0, 1+by*(2*r.Float64()-1)) }
	b, c, saturation := factor(a.Brightness), factor(a.Contrast), factor(a.Saturation)
	hue := a.Hue * (2*r.Float64() - 1)
	if a == (ColorJitter{}) {
		return s, nil
	}
	// All of it is one affine map, up to the mean luma, on which saturation and hue have
	// no influence.
	m := chroma(saturation, 2*math.Pi*hue)
	mean := b * meanLuma(s.RGB)
	var gain [3][3]float32
	for i := range m {
		for j := range m[i] {
			gain[i][j] = float32(c * b * m[i][j])
		}
	}
	offset := float32((1-c)*mean) + 0.5
	s.RGB = slices.Clone(s.RGB)
	for i := 0; i+2 < len(s.RGB); i += 3 {
		p := s.RGB[i:][:3]
		r, g, b := float32(p[0]), float32(p[1]), float32(p[2])
		for k := range p {
			row := &gain[k]
			p[k] = uint8(min(max(row[0]*r+row[1]*g+row[2]*b+offset, 0), 255))
		}
	}
	return s, nil
}

// luma are the weights of ITU-R BT.601.
var luma = [3]float64{0.299, 0.587, 0.114}

func meanLuma(rgb []uint8) float64 {
	var sums [3]int
	for i := 0; i+2 < len(rgb); i += 3 {
		sums[0] += int(rgb[i])
		sums[1] += int(rgb[i+1])
		sums[2] += int(rgb[i+2])
	}
	mean := 0.0
	for k, sum := range sums {
		mean += luma[k] * float64(sum)
	}
	return mean / max(1, float64(len(rgb)/3))
}

// chroma is the matrix that keeps luma and greys, multiplies the saturation and turns the
// hue by an angle. In the basis of luma and two axes u, v across the greys it is
// (1) ⊕ saturation·rotation.
func chroma(saturation, angle float64) [3][3]float64 {
	// Of a colour x, x − l(x) lies in the plane of luma 0. That plane has no rotation of
	// its own: the one used turns orthogonally to (1, 1, 1) and is sheared along it back
	// to luma 0.
	sin, cos := math.Sincos(angle)
	var m [3][3]float64
	for j := range 3 {
		var e [3]float64 // the unit colour j without its luma
		for i := range 3 {
			e[i] = -luma[j]
		}
		e[j]++
		mean := (e[0] + e[1] + e[2]) / 3
		var t [3]float64 // the part across (1, 1, 1), turned
		for i := range 3 {
			next, previous := e[(i+1)%3], e[(i+2)%3]
			t[i] = cos*(e[i]-mean) + sin*(previous-next)/math.Sqrt(3)
		}
		l := luma[0]*t[0] + luma[1]*t[1] + luma[2]*t[2]
		for i := range 3 {
			m[i][j] = luma[j] + saturation*(t[i]-l)
		}
	}
	return m
}
