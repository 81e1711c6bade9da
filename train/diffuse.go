package train

import (
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/sampler"
	"github.com/diffusioninst/go/train/data"
)

// diffusion turns ground-truth boxes into noisy proposals.
type diffusion struct {
	schedule  sampler.Schedule
	scale     float64 // of the signal against the noise
	proposals int
}

// noised is pictures of a batch, their common size, and the network's noisy start.
type noised struct {
	samples       []data.Sample
	height, width int       // padded, so that the coarsest stride divides them
	boxes         []float32 // N per picture, x1 y1 x2 y2 in pixels
	times         []float64 // one per picture
}

// noise draws the start of this process's part of a batch.
func (t *Trainer) noise(samples []data.Sample, whole wholeBatch) noised {
	n := noised{samples: samples, height: whole.Height, width: whole.Width}
	strides := t.network.Backbone.Strides()
	divisor := strides[len(strides)-1]
	d := diffusion{t.config.Sampling.Schedule, t.config.SignalScale, t.config.Proposals}
	for i, s := range samples {
		t.drawFor(drawSample, whole.first+int64(i))
		boxes, time := d.boxes(s, t.options.Draws)
		n.boxes, n.times = append(n.boxes, boxes...), append(n.times, float64(time))
	}
	n.height, n.width = (n.height+divisor-1)/divisor*divisor, (n.width+divisor-1)/divisor*divisor
	return n
}

// part is the i-th of parts that differ by one picture at most.
func (n noised) part(i, parts int) noised {
	from, to := i*len(n.samples)/parts, (i+1)*len(n.samples)/parts
	each := len(n.boxes) / len(n.samples)
	n.samples, n.times, n.boxes = n.samples[from:to], n.times[from:to], n.boxes[from*each:to*each]
	return n
}

// leastSide is the least width and height of a padding box, in picture sizes.
const leastSide = 1e-4

// boxes draws a time t and returns with it N boxes, x1 y1 x2 y2 in pixels: the
// ground truths and padding boxes x₀, noised to √ᾱ_t·x₀ + √(1−ᾱ_t)·ε and clamped to
// the signal's range (Chen et al., DiffusionDet, 2022, algorithm 1).
func (d diffusion) boxes(s data.Sample, draws Draws) (boxes []float32, t int) {
	t = draws.Time(len(d.schedule))
	noise := draws.Noise(4 * d.proposals)
	start := d.start(s, draws)
	alpha, sigma := d.schedule.Alpha(t), d.schedule.Sigma(t)
	boxes = make([]float32, len(start))
	size := [4]float64{float64(s.Width), float64(s.Height), float64(s.Width), float64(s.Height)}
	for i := 0; i < len(start); i += 4 {
		var b [4]float64 // cx cy w h
		for k := range b {
			x0 := (start[i+k]*2 - 1) * float32(d.scale)
			x := alpha*float64(x0) + sigma*float64(noise[i+k])
			b[k] = (min(max(x, -d.scale), d.scale)/d.scale + 1) / 2
		}
		for k, v := range [4]float64{b[0] - b[2]/2, b[1] - b[3]/2, b[0] + b[2]/2, b[1] + b[3]/2} {
			boxes[i+k] = float32(v * size[k])
		}
	}
	return boxes, t
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
