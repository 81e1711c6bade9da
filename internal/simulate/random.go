package simulate

import "math"

// A random is the state of a SplitMix64 generator (Steele, Lea, Flood 2014).
type random uint64

func (r *random) next() uint64 {
	*r += 0x9E3779B97F4A7C15
	return scramble(uint64(*r))
}

func scramble(z uint64) uint64 {
	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9
	z = (z ^ (z >> 27)) * 0x94D049BB133111EB
	return z ^ (z >> 31)
}

// unit returns a number that is uniform in [0, 1).
func (r *random) unit() float64 { return fraction(r.next()) }

// fraction returns the upper 53 bits of z as a number in [0, 1).
func fraction(z uint64) float64 { return mul(float64(z>>11), 1.0/(1<<53)) }

// between returns a number that is uniform in [a, b).
func (r *random) between(a, b float64) float64 { return a + mul(b-a, r.unit()) }

// below returns a number that is uniform in 0 … n−1.
func (r *random) below(n int) int { return int(r.next() % uint64(n)) }

// normal returns a number with mean 0 and standard deviation 1: a sum of four 16-bit numbers,
// whose distribution is close to the normal one up to three deviations.
func (r *random) normal() float64 {
	z := r.next()
	sum := int64(z&0xffff) + int64(z>>16&0xffff) + int64(z>>32&0xffff) + int64(z>>48)
	return float64(sum-2*0xffff) / 37837.0 // √(4/12)·65536
}

// direction returns a random unit vector, uniform in angle to within a few percent.
func (r *random) direction() vector {
	// The rational form of a quarter circle, then one of its four turns.
	t := r.unit()
	d := 1 + mul(t, t)
	v := vector{(1 - mul(t, t)) / d, (t + t) / d}
	for range r.below(4) {
		v = vector{-v.y, v.x}
	}
	return v
}

type vector struct{ x, y float64 }

// turn returns v in a frame that is rotated by the unit vector d.
func (v vector) turn(d vector) vector {
	return vector{mul(v.x, d.x) + mul(v.y, d.y), mul(v.y, d.x) - mul(v.x, d.y)}
}

func (v vector) length() float64 { return math.Sqrt(mul(v.x, v.x) + mul(v.y, v.y)) }

// mul returns a·b rounded to float64. The conversion keeps compilers from fusing the product
// with a following sum, which would change the last bit on some platforms.
func mul(a, b float64) float64 { return float64(a * b) }

// decay approximates exp(−x) for x ≥ 0 with products and one division only.
func decay(x float64) float64 {
	y := 1 + mul(x, 0.125)
	y = mul(y, y)
	y = mul(y, y)
	return 1 / mul(y, y)
}

// smooth rises from 0 to 1 as x goes from a to b, with slope 0 at both ends.
func smooth(a, b, x float64) float64 {
	t := max(0, min((x-a)/(b-a), 1))
	return mul(mul(t, t), 3-(t+t))
}

// A texture is smooth noise in 0 … 1 on a lattice of unit cells: a weighted mean of octaves,
// each with half the cell size and weight of the one before.
type texture struct {
	seed    uint64
	octaves int
}

func (t texture) at(x, y float64) float64 {
	sum, weight, total := 0.0, 1.0, 0.0
	for i := range t.octaves {
		sum += mul(weight, lattice(t.seed+uint64(i), x, y))
		total += weight
		weight /= 2
		x, y = x+x+17.3, y+y+5.7
	}
	return sum / total
}

func lattice(seed uint64, x, y float64) float64 {
	fx, fy := math.Floor(x), math.Floor(y)
	ix, iy := int64(fx), int64(fy)
	corner := func(dx, dy int64) float64 {
		z := scramble(seed ^ scramble(uint64(ix+dx)*0x9E3779B97F4A7C15^scramble(uint64(iy+dy))))
		return fraction(z)
	}
	sx, sy := smooth(0, 1, x-fx), smooth(0, 1, y-fy)
	top := corner(0, 0) + mul(sx, corner(1, 0)-corner(0, 0))
	bottom := corner(0, 1) + mul(sx, corner(1, 1)-corner(0, 1))
	return top + mul(sy, bottom-top)
}
