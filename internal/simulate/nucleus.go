package simulate

import "math"

// A nucleus is an ellipse with a smoothly perturbed outline.
type nucleus struct {
	center  vector
	a, b    float64 // semi-axes in pixels
	axis    vector  // direction of the first one
	waves   [4]vector
	light   float64 // brightness, around 1
	tilt    vector  // relative change of the brightness from the centre to the outline, along both axes
	blurred bool    // out of focus
	seed    uint64
}

// firstWave is the number of periods around the outline of the first of waves; the others
// have one more each.
const firstWave = 2

func newNucleus(r *random, center vector, radius float64) nucleus {
	stretch := r.between(1, 1.55)
	size := mul(radius, r.between(0.7, 1.3))
	n := nucleus{
		center: center, a: mul(size, math.Sqrt(stretch)), b: size / math.Sqrt(stretch), axis: r.direction(),
		light: mul(r.between(0.45, 1.05), r.between(0.8, 1.2)), blurred: r.unit() < 0.18, seed: r.next(),
	}
	for i := range n.waves {
		d, most := r.direction(), 0.10/float64(i+1)
		n.waves[i] = vector{mul(d.x, mul(most, r.unit())), mul(d.y, mul(most, r.unit()))}
	}
	d, slope := r.direction(), r.between(0, 0.3)
	n.tilt = vector{mul(d.x, slope), mul(d.y, slope)}
	return n
}

// level returns 0 in the centre of the nucleus, 1 on its outline and more outside.
func (n *nucleus) level(p vector) float64 {
	q := vector{p.x - n.center.x, p.y - n.center.y}.turn(n.axis)
	q = vector{q.x / n.a, q.y / n.b}
	rho := q.length()
	if rho < 1e-9 {
		return 0
	}
	// The powers of a unit vector are the cosines and sines of the multiples of its angle.
	z := vector{q.x / rho, q.y / rho}
	power, edge := z, 1.0
	for i, w := range n.waves {
		for range max(1, firstWave-1-i) {
			power = vector{mul(power.x, z.x) - mul(power.y, z.y), mul(power.x, z.y) + mul(power.y, z.x)}
		}
		edge += mul(w.x, power.x) + mul(w.y, power.y)
	}
	return rho / edge
}

// reach returns the radius of a circle that contains the nucleus.
func (n *nucleus) reach() float64 { return mul(max(n.a, n.b), 1.3) }

// place scatters nuclei over a field. Two of three are placed where they touch another.
func place(r *random, width, height, count int, radius float64) []nucleus {
	var out []nucleus
	w, h := float64(width), float64(height)
	for range 60 * count {
		if len(out) == count {
			break
		}
		at := vector{r.between(0, w), r.between(0, h)}
		n := newNucleus(r, at, radius)
		if len(out) > 0 && r.unit() < 0.66 {
			to := &out[r.below(len(out))]
			d, gap := r.direction(), mul(r.between(0.86, 1.0), touching(&n, to))
			n.center = vector{to.center.x + mul(d.x, gap), to.center.y + mul(d.y, gap)}
		}
		if n.center.x < 0 || n.center.y < 0 || n.center.x >= w || n.center.y >= h || crowded(&n, out) {
			continue
		}
		out = append(out, n)
	}
	return out
}

// touching returns the distance at which two nuclei touch, taken as circles.
func touching(a, b *nucleus) float64 {
	return math.Sqrt(mul(a.a, a.b)) + math.Sqrt(mul(b.a, b.b))
}

// crowded reports whether n would overlap one of the others too much.
func crowded(n *nucleus, others []nucleus) bool {
	for i := range others {
		o := &others[i]
		gap := vector{n.center.x - o.center.x, n.center.y - o.center.y}.length()
		if gap < mul(0.84, touching(n, o)) {
			return true
		}
	}
	return false
}
