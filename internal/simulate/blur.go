package simulate

// A plane is a picture of one float64 channel, row by row.
type plane struct {
	width, height int
	values        []float64
}

func newPlane(width, height int) *plane {
	return &plane{width, height, make([]float64, width*height)}
}

// blur spreads every value over about radius pixels with three successive box filters of
// that radius, which approximate a Gaussian. Pixels at the edges are repeated outwards.
func (p *plane) blur(radius int) {
	if radius < 1 {
		return
	}
	longest := max(p.width, p.height)
	line, out := make([]float64, longest), make([]float64, longest)
	for range 3 {
		for y := range p.height {
			row := p.values[y*p.width:][:p.width]
			box(row, out[:p.width], radius)
			copy(row, out)
		}
		for x := range p.width {
			for y := range p.height {
				line[y] = p.values[y*p.width+x]
			}
			box(line[:p.height], out[:p.height], radius)
			for y := range p.height {
				p.values[y*p.width+x] = out[y]
			}
		}
	}
}

// box writes the means of 2·radius+1 neighbours to out.
func box(in, out []float64, radius int) {
	last := len(in) - 1
	sum := 0.0
	for i := -radius; i <= radius; i++ {
		sum += in[max(0, min(i, last))]
	}
	for i := range in {
		out[i] = sum / float64(2*radius+1)
		sum += in[min(i+radius+1, last)] - in[max(i-radius, 0)]
	}
}

// clone returns a copy of the plane.
func (p *plane) clone() *plane {
	c := newPlane(p.width, p.height)
	copy(c.values, p.values)
	return c
}
