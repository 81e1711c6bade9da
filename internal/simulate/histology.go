package simulate

import (
	"image"
	"image/color"
)

// Absorption of red, green and blue by the two stains, roughly.
var (
	haematoxylin = [3]float64{0.72, 0.74, 0.33}
	eosin        = [3]float64{0.10, 0.78, 0.36}
)

// histology draws purple nuclei in pink tissue. Amounts c of the stains transmit the share
// exp(−Σ c·absorption) of the light (Beer–Lambert law).
func (f *field) histology(r *random) *image.RGBA {
	purple, pink := newPlane(f.width, f.height), newPlane(f.width, f.height)
	fibre, tissue, gaps := texture{r.next(), 4}, texture{r.next(), 3}, texture{r.next(), 3}
	along := r.direction()
	for i := range pink.values {
		p := vector{float64(i % f.width), float64(i / f.width)}
		q := p.turn(along)
		strands := fibre.at(q.x/40, q.y/7)
		body := smooth(0.28, 0.42, gaps.at(p.x/60, p.y/60))
		pink.values[i] = mul(body, 0.22+mul(0.42, strands)+mul(0.25, tissue.at(p.x/25, p.y/25))) + 0.03
		purple.values[i] = mul(body, 0.06)
	}
	for k := range f.nuclei {
		n := &f.nuclei[k]
		f.each(n, func(i int, p vector) {
			if f.owner[i] == int32(k) {
				purple.values[i] = n.stain(p, f.level[i])
				pink.values[i] = mul(0.6, pink.values[i])
			}
		})
	}
	purple.blur(1)
	pink.blur(1)
	img := image.NewRGBA(image.Rect(0, 0, f.width, f.height))
	for i := range pink.values {
		var c [3]uint8
		for k := range c {
			absorbed := mul(purple.values[i], haematoxylin[k]) + mul(pink.values[i], eosin[k])
			c[k] = byte8(mul(0.96, decay(absorbed)) + mul(0.012, r.normal()))
		}
		img.SetRGBA(i%f.width, i/f.width, color.RGBA{c[0], c[1], c[2], 255})
	}
	return img
}

// stain returns the amount of haematoxylin at p: a dark membrane, coarse chromatin and one or
// two nucleoli.
func (n *nucleus) stain(p vector, level float64) float64 {
	q := vector{p.x - n.center.x, p.y - n.center.y}.turn(n.axis)
	q = vector{q.x / n.a, q.y / n.b}
	grain := texture{n.seed, 3}.at(mul(q.x, 4), mul(q.y, 4))
	rim := smooth(0.72, 0.97, level)
	spot := smooth(0.7, 0.8, texture{n.seed + 7, 1}.at(mul(q.x, 2.5)+40, mul(q.y, 2.5)))
	v := 0.55 + mul(0.6, grain) + mul(0.45, rim) + mul(0.5, spot)
	v = mul(v, 1+mul(n.tilt.x, q.x)+mul(n.tilt.y, q.y))
	return mul(v, 0.55+mul(0.55, n.light))
}
