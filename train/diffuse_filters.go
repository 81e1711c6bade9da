package train

// A state with filters has rows of the box's four numbers and the mask filter's. There is no
// ground truth of filters: their clean value is the model's own last one, without gradients.

// drawFilters draws the noise of the filters.
func (b *beginning) drawFilters(d diffusion, draws Draws) {
	if d.filters == 0 {
		return
	}
	b.filterNoise[0] = draws.Noise(d.proposals * d.filters)
	if b.earlier == 0 {
		b.filterNoise[1] = draws.Noise(d.proposals * d.filters)
	}
}

// firstTime is the time of the first state.
func (b beginning) firstTime() int { return max(b.time, b.earlier) }

// first is the first state (N,4+filters): nothing is known of its filters, which are noise.
func (d diffusion) first(b beginning) []float64 {
	return d.join(d.state(b, b.firstTime()), d.noisyFilters(b.filterNoise[0], nil, b.firstTime()))
}

// noisyFilters is √ᾱ_t·x₀ + √(1−ᾱ_t)·ε of filters (N,filters) in the signal's scale; nil for an x₀ of 0.
func (d diffusion) noisyFilters(noise []float32, x0 []float64, t int) []float64 {
	alpha, sigma := d.schedule.Alpha(t), d.schedule.Sigma(t)
	x := make([]float64, len(noise))
	for i, z := range noise {
		x[i] = sigma * float64(z)
		if x0 != nil {
			x[i] += alpha * x0[i]
		}
	}
	return x
}

// join makes a state of boxes (N,4) and filters (N,filters).
func (d diffusion) join(boxes, filters []float64) []float64 {
	var out []float64
	for i := range d.proposals {
		out = append(append(out, boxes[4*i:4*i+4]...), filters[d.filters*i:d.filters*(i+1)]...)
	}
	return out
}

// split takes a state apart.
func (d diffusion) split(x []float64) (boxes, filters []float64) {
	for row := 4 + d.filters; len(x) > 0; x = x[row:] {
		boxes, filters = append(boxes, x[:4]...), append(filters, x[4:row]...)
	}
	return boxes, filters
}

// plain maps filters of a state, clamped to the signal's range, to those that a decoder reads.
func (d diffusion) plain(filters []float64) []float32 {
	out := make([]float32, len(filters))
	for i, v := range filters {
		out[i] = float32(min(max(v, -d.scale), d.scale) * d.limit / d.scale)
	}
	return out
}

// filterSignal maps a decoder's filters to a state's, clamped to the signal's range.
func (d diffusion) filterSignal(filters []float32) []float64 {
	out := make([]float64, len(filters))
	for i, v := range filters {
		out[i] = min(max(float64(v)*d.scale/d.limit, -d.scale), d.scale)
	}
	return out
}
