package diffusioninst

import (
	"context"

	"github.com/diffusioninst/go/decoder"
	"github.com/diffusioninst/go/sampler"
	"github.com/diffusioninst/go/torch"
)

// run is one pass of a batch through the network.
type run struct {
	model    *Model
	options  Options
	sampling sampler.Config
	inputs   []input
	watch    *watcher     // nil outside of tests
	trace    func(*Trace) // nil unless the steps of the first picture are asked for

	sizes    *torch.Tensor   // (B,1,4): width, height, width, height of each input without padding
	levels   []*torch.Tensor // the feature pyramid
	features *torch.Tensor   // the mask features
	found    []candidates    // of each picture
}

// watcher sees what goes on inside; it makes every decoder stage predict.
type watcher struct {
	input   func(x *torch.Tensor)
	levels  func(levels []*torch.Tensor)
	masks   func(features *torch.Tensor)
	decoded func(step, t int, boxes *torch.Tensor, stages []decoder.Output)
}

func (r *run) do(ctx context.Context, s *torch.Scope, noise sampler.Noise) ([]*Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m := r.model
	mark := s.Mark()
	x := r.pack(s)
	r.levels = m.backbone.Forward(x)
	r.features = m.branch.Forward(r.levels)
	if r.watch != nil {
		r.watch.input(x)
		r.watch.levels(r.levels)
		r.watch.masks(r.features)
	}
	s.Release(mark, append([]*torch.Tensor{r.features}, r.levels...)...)

	r.found = make([]candidates, len(r.inputs))
	shape := []int64{int64(len(r.inputs)), int64(r.options.Proposals), 4}
	if m.config.FilterRange > 0 {
		shape[2] += int64(m.config.MaskHead.Params())
	}
	var whwh []float32
	for _, in := range r.inputs {
		w, h := float32(in.width), float32(in.height)
		whwh = append(whwh, w, h, w, h)
	}
	r.sizes = torch.From(s, whwh, shape[0], 1, 4).To(m.device)
	if _, err := r.sampling.Run(ctx, s, m.device, shape, noise, r.denoise); err != nil {
		return nil, err
	}
	for _, l := range r.levels {
		l.Close()
	}
	out := make([]*Result, len(r.inputs))
	for i := range out {
		mark := s.Mark()
		out[i] = r.finish(s, i, r.found[i])
		s.Release(mark)
	}
	return out, nil
}

// pack normalises the pictures and pads them with zeros to a common multiple of
// the coarsest stride: (B,3,H,W).
func (r *run) pack(s *torch.Scope) *torch.Tensor {
	strides := r.model.backbone.Strides()
	divisor := strides[len(strides)-1]
	height, width := 0, 0
	var pictures []Pixels
	for _, in := range r.inputs {
		height, width = max(height, in.height), max(width, in.width)
		pictures = append(pictures, Pixels{in.rgb, in.width, in.height})
	}
	height, width = (height+divisor-1)/divisor*divisor, (width+divisor-1)/divisor*divisor
	return r.model.config.Input.Pack(s, pictures, width, height, r.model.device)
}

// denoise decodes a noisy state (B,N,4), or wider where filters are part of it,
// collects the detections, and maps the decoder's last boxes and filters back to a state.
func (r *run) denoise(at sampler.Moment, x *torch.Tensor) (sampler.Prediction, error) {
	m := r.model
	scale := m.config.SignalScale
	x = x.Clamp(-scale, scale)
	boxes := corners(x.Narrow(2, 0, 4).DivScalar(scale).AddScalar(1).DivScalar(2)).Mul(r.sizes)
	var filters *torch.Tensor
	if m.config.FilterRange > 0 {
		filters = x.Narrow(2, 4, x.Size(2)-4).MulScalar(m.config.FilterRange / scale)
	}
	times := make([]float64, len(r.inputs))
	for i := range times {
		times[i] = float64(at.T)
	}
	stages, err := m.decoder.ForwardState(r.levels, boxes, filters, times, r.watch != nil)
	if err != nil {
		return sampler.Prediction{}, err
	}
	if r.watch != nil && !at.Inner {
		r.watch.decoded(at.Step, at.T, boxes, stages)
	}
	last := stages[len(stages)-1]
	scores := last.Logits.Sigmoid()
	if !at.Inner && r.counts(at.Step) {
		for i := range r.found {
			r.found[i].collect(int64(i), scores, last, r.options.Score)
		}
	}
	if !at.Inner && r.trace != nil {
		r.trace(r.step(at, boxes, scores, last))
	}
	x0 := centres(last.Boxes.Div(r.sizes)).MulScalar(2).AddScalar(-1).MulScalar(scale)
	if filters != nil {
		x0 = torch.Cat([]*torch.Tensor{x0, last.Filters.MulScalar(scale / m.config.FilterRange)}, 2)
	}
	return sampler.Prediction{X0: x0.Clamp(-scale, scale), Scores: scores.Amax([]int64{2}, false)}, nil
}

// counts tells whether a step's detections belong to the result.
func (r *run) counts(step int) bool {
	steps := r.sampling.Steps
	if r.model.config.Quirks == Reference && steps > 1 {
		return step < steps-1
	}
	return r.options.Ensemble.counts(step, steps)
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
