package train

import (
	"github.com/diffusioninst/go/decoder"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/sampler"
	"github.com/diffusioninst/go/train/data"
)

// diffusion turns ground-truth boxes into noisy proposals.
type diffusion struct {
	schedule  sampler.Schedule
	scale     float64 // of the signal against the noise
	prior     diffusioninst.SizePrior
	proposals int
	filters   int     // numbers of a mask filter in the state; 0 without filters
	limit     float64 // what such a number is that becomes scale: Config.FilterRange
	told      int     // numbers of decoder.Conditioning; 0 without self-conditioning
}

// beginning is the random start of a picture's proposals.
type beginning struct {
	time      int
	x0, noise []float32 // (N,4), x₀ as cx cy w h in picture sizes
	// earlier is the time of the state from which the model's own step leads to time; with 0 the
	// proposals begin with the noised x₀.
	earlier int
	seed    uint64 // of that step's noise
	// conditioned tells the decoder what it estimates from the same state, if there is no earlier one: its estimate there is
	// told in any case, as in sampling.
	conditioned bool
	// filterNoise (N,filters) is that of the first state and, without an earlier one, of the
	// second at the same time.
	filterNoise [2][]float32
}

// noised is pictures of a batch, their common size, and the network's noisy start.
type noised struct {
	samples       []data.Sample
	height, width int       // padded, so that the coarsest stride divides them
	boxes         []float32 // N per picture, x1 y1 x2 y2 in pixels
	filters       []float32 // N per picture, of diffusion.filters numbers each; filled in by the pass
	told          []float32 // N per picture, of diffusion.told numbers each, in the same way; zeros for what is not known
	times         []float64 // one per picture
	beginnings    []beginning
}

// noise draws the start of this process's part of a batch.
func (t *Trainer) noise(samples []data.Sample, whole wholeBatch) noised {
	n := noised{samples: samples, height: whole.Height, width: whole.Width}
	strides := t.network.Backbone.Strides()
	divisor := strides[len(strides)-1]
	d := t.diffusion()
	for i, s := range samples {
		t.drawFor(drawSample, whole.first+int64(i))
		b := d.begin(s, t.options.Draws)
		if t.options.OwnSteps > 0 {
			b.drawEarlier(t.options.OwnSteps, len(d.schedule), t.options.Draws)
		}
		if d.told > 0 && b.earlier == 0 {
			b.conditioned = t.options.Draws.Time(2) == 1
		}
		b.drawFilters(d, t.options.Draws)
		n.boxes, n.times = append(n.boxes, d.pixels(d.state(b, b.time), b.time, s)...), append(n.times, float64(b.time))
		n.beginnings = append(n.beginnings, b)
	}
	n.filters, n.told = make([]float32, len(samples)*d.proposals*d.filters), make([]float32, len(samples)*d.proposals*d.told)
	n.height, n.width = (n.height+divisor-1)/divisor*divisor, (n.width+divisor-1)/divisor*divisor
	return n
}

// part is the i-th of parts that differ by one picture at most.
func (n noised) part(i, parts int) noised {
	from, to := i*len(n.samples)/parts, (i+1)*len(n.samples)/parts
	of := func(rows []float32) []float32 {
		each := len(rows) / len(n.samples)
		return rows[from*each : to*each]
	}
	n.boxes, n.filters, n.told = of(n.boxes), of(n.filters), of(n.told)
	n.samples, n.times, n.beginnings = n.samples[from:to], n.times[from:to], n.beginnings[from:to]
	return n
}

func (t *Trainer) diffusion() diffusion {
	d := diffusion{schedule: t.config.Sampling.Schedule, scale: t.config.SignalScale, prior: t.config.SizePrior, proposals: t.config.Proposals}
	if t.config.FilterRange > 0 {
		d.filters, d.limit = t.config.MaskHead.Params(), t.config.FilterRange
	}
	if t.config.Decoder.SelfConditioning {
		d.told = decoder.ConditioningSize
	}
	return d
}

// leastSide is the least width and height of a padding box, in picture sizes.
const leastSide = 1e-4

// begin draws a time t, the ground truths and padding boxes x₀, and their noise ε
// (Chen et al., DiffusionDet, 2022, algorithm 1).
func (d diffusion) begin(s data.Sample, draws Draws) beginning {
	t := draws.Time(len(d.schedule))
	noise := draws.Noise(4 * d.proposals)
	return beginning{time: t, x0: d.start(s, draws), noise: noise}
}

// state is √ᾱ_t·x₀ + √(1−ᾱ_t)·ε, (N,4) in the signal's scale, in which the prior is N(0,1).
func (d diffusion) state(b beginning, t int) []float64 {
	alpha, sigma := d.schedule.Alpha(t), d.schedule.Sigma(t)
	mean, std := d.prior.Noise(d.scale)
	x := make([]float64, len(b.x0))
	for i, v := range b.x0 {
		x0 := (float64((v*2-1)*float32(d.scale)) - mean[i%4]) / std[i%4]
		x[i] = alpha*x0 + sigma*float64(b.noise[i])
	}
	return x
}

// read maps a state (N,4) at time t to what the decoder reads of it, in the signal's range; without a prior that is the state.
func (d diffusion) read(x []float64, t int) []float64 {
	return d.clean(x, d.prior.Narrowing(d.schedule.Alpha(t), d.schedule.Sigma(t)))
}

// clean is read for a narrowing, which is 1 for an estimate of the clean state.
func (d diffusion) clean(x []float64, narrowing float64) []float64 {
	mean, std := d.prior.Noise(d.scale)
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = min(max(v*narrowing*std[i%4]+mean[i%4], -d.scale), d.scale)
	}
	return out
}

// pixels maps a state (N,4) at time t, clamped to the signal's range, to boxes x1 y1 x2 y2 in pixels.
func (d diffusion) pixels(x []float64, t int, s data.Sample) []float32 {
	x = d.read(x, t)
	boxes := make([]float32, len(x))
	size := [4]float64{float64(s.Width), float64(s.Height), float64(s.Width), float64(s.Height)}
	for i := 0; i < len(x); i += 4 {
		var b [4]float64 // cx cy w h
		for k := range b {
			b[k] = (x[i+k]/d.scale + 1) / 2
		}
		for k, v := range [4]float64{b[0] - b[2]/2, b[1] - b[3]/2, b[0] + b[2]/2, b[1] + b[3]/2} {
			boxes[i+k] = float32(v * size[k])
		}
	}
	return boxes
}

// signal maps boxes (N,4) in pixels, clamped to the signal's range, to a clean state.
func (d diffusion) signal(boxes []float32, s data.Sample) []float64 {
	mean, std := d.prior.Noise(d.scale)
	out := make([]float64, len(boxes))
	for i := 0; i < len(boxes); i += 4 {
		for k, v := range centred(diffusioninst.Box{X1: boxes[i], Y1: boxes[i+1], X2: boxes[i+2], Y2: boxes[i+3]}, s) {
			out[i+k] = (min(max((float64(v)*2-1)*d.scale, -d.scale), d.scale) - mean[k]) / std[k]
		}
	}
	return out
}

// start is x₀: N boxes cx cy w h in picture sizes, ground truths first. A picture
// without any starts from the whole picture.
func (d diffusion) start(s data.Sample, draws Draws) []float32 {
	var all []float32
	for _, o := range s.Objects {
		b := centred(o.Box, s)
		all = append(all, b[:]...)
	}
	if len(all) == 0 {
		all = []float32{0.5, 0.5, 1, 1}
	}
	switch have := len(all) / 4; {
	case have > d.proposals:
		subset := make([]float32, 0, 4*d.proposals)
		for _, i := range draws.Subset(have, d.proposals) {
			subset = append(subset, all[4*i:4*i+4]...)
		}
		return subset
	case have < d.proposals:
		for i, z := range draws.Noise(4 * (d.proposals - have)) {
			v := z/6 + 0.5
			if i%4 >= 2 {
				if d.prior != (diffusioninst.SizePrior{}) {
					v = z*float32(d.prior.Std) + float32(d.prior.Mean)
				}
				v = max(v, leastSide)
			}
			all = append(all, v)
		}
	}
	return all
}

// centred is a box as cx cy w h in sizes of the picture.
func centred(b diffusioninst.Box, s data.Sample) [4]float32 {
	w, h := float32(s.Width), float32(s.Height)
	x1, y1, x2, y2 := b.X1/w, b.Y1/h, b.X2/w, b.Y2/h
	return [4]float32{(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1}
}
