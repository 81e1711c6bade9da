package simulate

import (
	"image"
	"image/color"
	"math"
)

// fluorescence draws the nuclei as a camera on a fluorescence microscope records them: with
// scattered and defocused light, uneven illumination, dark current and shot noise.
func (f *field) fluorescence(r *random, brightness float64) *image.RGBA {
	sharp, soft := newPlane(f.width, f.height), newPlane(f.width, f.height)
	for k := range f.nuclei {
		n := &f.nuclei[k]
		layer := sharp
		if n.blurred {
			layer = soft
		}
		f.each(n, func(i int, p vector) {
			if f.owner[i] == int32(k) {
				layer.values[i] = n.glow(p, f.level[i])
			}
		})
	}
	sharp.blur(1)
	soft.blur(2)
	haze := sharp.clone()
	for i, v := range soft.values {
		haze.values[i] += v
	}
	haze.blur(max(4, f.width/32))

	lamp := vector{mul(float64(f.width), r.between(0.35, 0.65)), mul(float64(f.height), r.between(0.35, 0.65))}
	corner := vector{float64(f.width), float64(f.height)}.length() / 2
	dirt := texture{r.next(), 3}
	img := image.NewRGBA(image.Rect(0, 0, f.width, f.height))
	for y := range f.height {
		for x := range f.width {
			i := y*f.width + x
			p := vector{float64(x), float64(y)}
			d := vector{p.x - lamp.x, p.y - lamp.y}.length() / corner
			lit := 1 - mul(0.42, mul(d, d))
			light := sharp.values[i] + soft.values[i] + mul(0.16, haze.values[i])
			light += mul(0.05, dirt.at(p.x/70, p.y/70))
			light = mul(max(lit, 0.2), light) + 0.018
			light += mul(mul(0.042, math.Sqrt(light)), r.normal()) + mul(0.006, r.normal())
			v := byte8(mul(mul(0.86, brightness), light))
			img.SetRGBA(x, y, color.RGBA{v, v, v, 255})
		}
	}
	return img
}

// glow returns the brightness of chromatin at p: grainy, brighter in the middle, where the
// nucleus is thick, with brighter clumps and darker nucleoli.
func (n *nucleus) glow(p vector, level float64) float64 {
	q := vector{p.x - n.center.x, p.y - n.center.y}.turn(n.axis)
	q = vector{q.x / n.a, q.y / n.b}
	thick := math.Sqrt(max(0, 1-mul(0.72, mul(level, level))))
	grain := texture{n.seed, 3}.at(mul(q.x, 4), mul(q.y, 4))
	clump := smooth(0.62, 0.8, texture{n.seed + 7, 2}.at(mul(q.x, 3)+40, mul(q.y, 3)))
	hole := mul(smooth(0.66, 0.78, texture{n.seed + 13, 1}.at(mul(q.x, 2.6), mul(q.y, 2.6)+90)), smooth(0.95, 0.6, level))
	v := mul(thick, 0.72+mul(0.5, grain))
	v = mul(v, 1+mul(0.28, clump)-mul(0.38, hole))
	v = mul(v, 1+mul(n.tilt.x, q.x)+mul(n.tilt.y, q.y))
	return mul(v, n.light)
}
