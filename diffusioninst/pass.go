package diffusioninst

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/diffusioninst/go/decoder"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/sampler"
	"github.com/diffusioninst/go/torch"
)

// pass is a batch of views on its way through the network.
type pass struct {
	*settings
	model  *Model
	views  []view
	pixels []Pixels      // of each view
	tensor *torch.Tensor // of the request; pixels are nil then
	alone  bool          // no other pass sees the pictures, so that Limit holds for each view
	watch  *watcher      // nil outside of tests
	held   *int64        // bytes of the request's masks; nil if there is no request
	// onStep, if not nil, gets what the proposals of view i were before a step, in pixels of
	// the picture, their scores after it, and the instances that it made.
	onStep func(at sampler.Moment, i int, boxes []Box, scores []float32, found []Instance)
	graphs *graphSet   // nil if nothing is recorded
	input  *inputGraph // of graphs
	clock  *deviceParts

	sizes       *torch.Tensor   // (B,1,4): width, height, width, height of each input without padding
	times       []int           // of the steps
	embeddings  *torch.Tensor   // (steps·B,d) of these times
	levels      []*torch.Tensor // the feature pyramid
	features    *torch.Tensor   // the mask features
	fits        []sampler.Check // whether these are finite; nil if they are bound to be, and once it is asked
	evaluations []evaluation    // whose detections count
	number      int             // of evaluations that there will be
	restart     int             // that is being sampled
}

// watcher sees what goes on inside; it makes every decoder stage predict.
type watcher struct {
	input   func(x *torch.Tensor)
	levels  func(levels []*torch.Tensor)
	masks   func(features *torch.Tensor)
	decoded func(step, t int, boxes *torch.Tensor, stages []decoder.Output)
}

// run returns the instances that each view answers for, in pixels of its picture.
// It samples once with each noise.
func (p *pass) run(ctx context.Context, s *torch.Scope, noises ...sampler.Noise) ([][]Instance, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if p.held == nil {
		p.held = new(int64)
	}
	m := p.model
	p.clock = p.newDeviceParts(m.device)
	defer p.clock.close()
	mark := s.Mark()
	var x *torch.Tensor
	p.part(ctx, "backbone", func() {
		p.clock.begin("input")
		x = p.pack(s)
		p.clock.begin("backbone")
		if !p.replay(s, x) {
			p.levels = m.backbone.Forward(x)
		}
	})
	p.part(ctx, "mask branch", func() {
		p.clock.begin("mask branch")
		if p.features == nil {
			p.features = m.branch.Forward(p.levels)
			p.settle()
		}
		if p.watch != nil {
			p.watch.input(x)
			p.watch.levels(p.levels)
			p.watch.masks(p.features)
		}
		s.Release(mark, append([]*torch.Tensor{p.features}, p.levels...)...)
		p.fits = p.fitted()
	})

	p.clock.begin("sampling")
	p.number = len(noises) * p.evaluated(p.sampling.Steps)
	defer p.forget()
	shape := []int{len(p.views), p.proposals, 4}
	if m.config.FilterRange > 0 {
		shape[2] += m.config.MaskHead.Params()
	}
	var whwh []float32
	for _, v := range p.views {
		w, h := float32(v.width), float32(v.height)
		whwh = append(whwh, w, h, w, h)
	}
	p.sizes = torch.From(s, whwh, shape[0], 1, 4).To(m.device)
	if err := p.embed(s); err != nil {
		return nil, err
	}
	var err error
	checks := make([]*sampler.Pending, len(noises))
	p.part(ctx, "sampling", func() {
		for r, noise := range noises {
			p.restart = r
			mark := s.Mark()
			if _, checks[r], err = p.sampling.Enqueue(ctx, s, m.device, shape, noise, p.denoise); err != nil {
				return
			}
			if a := checks[r].Answers(); a != nil {
				s.Release(mark, a)
			} else {
				s.Release(mark)
			}
		}
	})
	if err != nil {
		return nil, err
	}
	for _, l := range p.levels {
		l.Close()
	}
	out := make([][]Instance, len(p.views))
	p.part(ctx, "masks", func() {
		p.clock.begin("masks")
		var found []candidates
		if found, err = p.collected(s, checks); err != nil {
			return
		}
		for i := range out {
			if out[i], err = p.finish(s, i, found[i]); err != nil {
				return
			}
			*p.held += massOf(out[i])
		}
	})
	if err != nil {
		return nil, err
	}
	p.clock.end(p.onDevicePart)
	return out, nil
}

// pack normalises the pictures and pads them with zeros to a common multiple of
// the coarsest stride: (B,3,H,W).
func (p *pass) pack(s *torch.Scope) *torch.Tensor {
	strides := p.model.backbone.Strides()
	divisor := strides[len(strides)-1]
	height, width := 0, 0
	for _, v := range p.views {
		height, width = max(height, v.height), max(width, v.width)
	}
	height, width = (height+divisor-1)/divisor*divisor, (width+divisor-1)/divisor*divisor
	if p.tensor != nil {
		return p.packTensor(s, width, height)
	}
	return p.model.config.Input.Pack(s, p.pixels, width, height, p.model.device)
}

// fitted asks, in float16, whether what backbone and mask branch computed fits into its range. What does not becomes
// infinite, and would be missed where no proposal looks.
func (p *pass) fitted() []sampler.Check {
	if p.model.precision != PrecisionFloat16 {
		return nil
	}
	ok := p.features.Scope().Hold(func() *torch.Tensor {
		var all []*torch.Tensor
		for _, x := range append(slices.Clone(p.levels), p.features) {
			all = append(all, x.IsFinite().All())
		}
		return torch.Stack(all, 0)
	})
	return []sampler.Check{{OK: ok, Err: func(i int) error {
		where := "feature pyramid"
		if i == len(p.levels) {
			where = "mask features"
		}
		return fmt.Errorf("diffusioninst: %w: numbers of float16 end at 65504, use bfloat16 or float32",
			&nn.NotFiniteError{Where: where, Stage: -1, Value: math.Inf(1)})
	}}}
}

// denoise decodes a noisy state (B,N,4), or wider if filters are part of it,
// collects the detections, and maps the decoder's last boxes and filters back to a state.
func (p *pass) denoise(at sampler.Moment, x *torch.Tensor) (sampler.Prediction, error) {
	m := p.model
	scale := m.config.SignalScale
	var told *torch.Tensor
	if m.config.Decoder.SelfConditioning {
		told = p.conditioning(at, x)
	}
	state, embedded := m.config.SizePrior.read(x, scale, p.sampling.Schedule.AlphaBar(at.T)), p.embedded(x.Scope(), at.T)
	p.clock.begin("decoder")
	d, err := p.decodeAgain(state, p.sizes, embedded, told)
	p.clock.begin("sampling")
	if err != nil {
		return sampler.Prediction{}, err
	}
	checks := p.fits
	p.fits = nil
	if d.finite != nil {
		checks = append(checks, sampler.Check{OK: d.finite, Err: decoder.NotFinite})
	}
	if p.watch != nil && !at.Inner {
		p.watch.decoded(at.Step, at.T, d.boxes, d.stages)
	}
	if !at.Inner && p.counts(at.Step) {
		if d.best == nil {
			d.best = best(d.scores, d.last())
		}
		p.evaluations = append(p.evaluations, evaluation{
			number: p.restart*p.evaluated(p.sampling.Steps) + p.evaluated(at.Step), best: d.best.Keep(),
		})
	}
	if !at.Inner && p.onStep != nil {
		if err := p.report(at, d.boxes, d.scores, d.last()); err != nil {
			return sampler.Prediction{}, err
		}
	}
	return sampler.Prediction{X0: m.config.SizePrior.write(d.x0, scale), Scores: d.top, Checks: checks}, nil
}

// embed embeds the times of all steps, in one copy to the device.
func (p *pass) embed(s *torch.Scope) (err error) {
	if p.times, err = p.sampling.Times(); err != nil {
		return err
	}
	p.embeddings = p.model.decoder.Embed(s, p.perView(p.times...), p.model.device)
	return nil
}

// embedded returns the embedding of time t, a row per view. A sampler may ask for one that is not of a step.
func (p *pass) embedded(s *torch.Scope, t int) *torch.Tensor {
	if i := slices.Index(p.times, t); i >= 0 {
		return p.embeddings.Narrow(0, i*len(p.views), len(p.views))
	}
	return p.model.decoder.Embed(s, p.perView(t), p.model.device)
}

// perView repeats each time for all views.
func (p *pass) perView(times ...int) []float64 {
	out := make([]float64, 0, len(times)*len(p.views))
	for _, t := range times {
		for range p.views {
			out = append(out, float64(t))
		}
	}
	return out
}

// conditioning is what the decoder is told of its last estimate; see decoder.Conditioning. It is zeros at the first step, so
// that a graph of the decoder has the same inputs in all.
func (p *pass) conditioning(at sampler.Moment, x *torch.Tensor) *torch.Tensor {
	s := x.Scope()
	if at.Last == nil {
		return s.Zeros(torch.Options{DType: x.DType(), Device: x.Device()}, x.Size(0), x.Size(1), decoder.ConditioningSize)
	}
	return s.Hold(func() *torch.Tensor {
		prior, scale := p.model.config.SizePrior, p.model.config.SignalScale
		boxes := func(x *torch.Tensor, alphaBar float64) *torch.Tensor {
			return prior.read(x.Narrow(2, 0, 4), scale, alphaBar).Clamp(-scale, scale)
		}
		return decoder.Conditioning(boxes(x, p.sampling.Schedule.AlphaBar(at.T)), boxes(at.Last, 1), at.Known)
	})
}

// counts reports whether a step's detections belong to the result.
func (p *pass) counts(step int) bool {
	last := step == p.sampling.Steps-1
	if p.sampling.Steps > 1 && last && !p.lastCounts {
		return false
	}
	return last || !p.ensemble.LastOnly
}

// evaluated returns how many of the first steps belong to the result.
func (p *pass) evaluated(steps int) int {
	n := 0
	for step := range steps {
		if p.counts(step) {
			n++
		}
	}
	return n
}

// least is the score from which candidates are collected.
func (p *pass) least() float64 {
	least := p.candidateScore()
	if p.ensemble.Consensus > 0 && p.number > 1 {
		return min(least, leastVote)
	}
	return least
}

// report describes a step: boxes (B,N,4) as it received them, scores (B,N,K) and the
// decoder's last output as it left them.
func (p *pass) report(at sampler.Moment, boxes, scores *torch.Tensor, last decoder.Output) error {
	s := scores.Scope()
	all, err := p.candidates(s, p.candidateScore(), nil, evaluation{best: best(scores, last)})
	if err != nil {
		return err
	}
	for i, v := range p.views {
		mark := s.Mark()
		best := torch.Values[float32](scores.Select(0, i).Amax([]int{1}, false))
		xyxy := torch.Values[float32](boxes.Select(0, i))
		placed := make([]Box, len(best))
		sx, sy := v.factors()
		for k := range placed {
			b := xyxy[4*k:]
			placed[k] = v.place(Box{X1: b[0], Y1: b[1], X2: b[2], Y2: b[3]}.Scale(sx, sy))
		}
		found, err := p.finish(s, i, all[i])
		s.Release(mark)
		if err != nil {
			return err
		}
		p.onStep(at, i, placed, best, found)
	}
	return nil
}

// factors maps pixels of the network's input to pixels of the view's part.
func (v view) factors() (x, y float32) {
	return float32(v.part.Dx()) / float32(v.width), float32(v.part.Dy()) / float32(v.height)
}

// corners maps cx cy w h to x1 y1 x2 y2.
func corners(b *torch.Tensor) *torch.Tensor {
	centre, half := b.Narrow(2, 0, 2), b.Narrow(2, 2, 2).MulScalar(0.5)
	return torch.Cat([]*torch.Tensor{centre.Sub(half), centre.Add(half)}, 2)
}

// centres maps x1 y1 x2 y2 to cx cy w h.
func centres(b *torch.Tensor) *torch.Tensor {
	low, high := b.Narrow(2, 0, 2), b.Narrow(2, 2, 2)
	return torch.Cat([]*torch.Tensor{low.Add(high).DivScalar(2), high.Sub(low)}, 2)
}
