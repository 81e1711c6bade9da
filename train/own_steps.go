package train

import (
	"context"
	"math"

	"github.com/diffusioninst/go/decoder"
	"github.com/diffusioninst/go/sampler"
	"github.com/diffusioninst/go/torch"
	"github.com/diffusioninst/go/train/data"
)

// drawEarlier makes a share of pictures begin with the model's own step from a higher time.
func (b *beginning) drawEarlier(share float64, times int, draws Draws) {
	const fine = 1 << 24
	if float64(draws.Time(fine)) < share*fine && b.time < times-1 {
		b.earlier = b.time + 1 + draws.Time(times-1-b.time)
		b.seed = uint64(draws.Time(math.MaxInt))
	}
}

// estimateFirst replaces, in the pass, the states of the pictures that begin with the model's own
// step: the decoder estimates the clean state at the earlier time, and the sampler steps from
// there. With filters in the state, the other pictures' are noised from such an estimate, too. With self-conditioning
// the decoder is then told its estimate.
func (t *Trainer) estimateFirst(ctx context.Context, p *pass, levels []*torch.Tensor) (err error) {
	n, d := p.noised, t.diffusion()
	e := estimate{diffusion: d, decoder: p.replica.network.Decoder}
	var at []int64
	var times []int
	var states [][]float64
	for i, b := range n.beginnings {
		if b.earlier > 0 || b.conditioned || d.filters > 0 {
			at, times, states = append(at, int64(i)), append(times, b.firstTime()), append(states, d.first(b))
			e.samples = append(e.samples, n.samples[i])
		}
	}
	if len(at) == 0 {
		return nil
	}
	s := p.scope
	mark := s.Mark()
	defer s.Release(mark)
	torch.NoGrad(func() {
		for _, level := range levels {
			e.levels = append(e.levels, level.IndexSelect(0, torch.From(s, at).To(t.device)))
		}
		var found []sampler.Prediction
		if found, err = e.run(s, states, times, nil); err != nil {
			return
		}
		for k, i := range at {
			b := n.beginnings[i]
			boxes, filters, told := n.boxes[int(i)*4*d.proposals:], n.filters[int(i)*d.filters*d.proposals:], n.told[int(i)*d.told*d.proposals:]
			if b.earlier == 0 {
				_, x0 := d.split(torch.Values[float64](found[k].X0))
				copy(filters, d.plain(d.noisyFilters(b.filterNoise[1], x0, b.time)))
				if b.conditioned {
					copy(told, d.tell(states[k], sampler.Moment{T: b.time, Last: found[k].X0}))
				}
				continue
			}
			again := func(m sampler.Moment, x *torch.Tensor) (sampler.Prediction, error) {
				state := torch.Values[float64](x)
				found, err := e.only(k).run(s, [][]float64{state}, []int{m.T}, d.tell(state, m))
				if err != nil {
					return sampler.Prediction{}, err
				}
				return found[0], nil
			}
			var x *torch.Tensor
			var at sampler.Moment
			x, at, err = t.config.Sampling.Advance(ctx, e.tensor(s, states[k]), found[k], b.earlier, b.time, sampler.SeededNoise(b.seed), again)
			if err != nil {
				return
			}
			state := torch.Values[float64](x)
			copy(told, d.tell(state, at))
			moved, movedFilters := d.split(state)
			copy(boxes, d.pixels(moved, b.time, n.samples[i]))
			copy(filters, d.plain(movedFilters))
		}
	})
	return named(err, e.samples)
}

// estimate is a decoder with the features of pictures. The states are on the CPU: they are small.
type estimate struct {
	diffusion
	decoder *decoder.Decoder
	levels  []*torch.Tensor
	samples []data.Sample
}

// only is the estimate of picture k alone.
func (e estimate) only(k int) estimate {
	levels := make([]*torch.Tensor, len(e.levels))
	for i, level := range e.levels {
		levels[i] = level.Narrow(0, k, 1)
	}
	e.levels, e.samples = levels, e.samples[k:k+1]
	return e
}

// run decodes the pictures' states at their times. The decoder is told what tell returns; nil for nothing.
func (e estimate) run(s *torch.Scope, states [][]float64, times []int, told []float32) ([]sampler.Prediction, error) {
	var boxes, filters []float32
	var at []float64
	for i, x := range states {
		at = append(at, float64(times[i]))
		b, f := e.split(x)
		boxes, filters = append(boxes, e.pixels(b, times[i], e.samples[i])...), append(filters, e.plain(f)...)
	}
	device := e.levels[0].Device()
	stages, finite, err := e.decoder.Refine(e.levels, e.rows(s, boxes).To(device), e.filterRows(s, filters, device), e.toldRows(s, told, device), at, false)
	if err != nil {
		return nil, err
	}
	last := stages[len(stages)-1]
	found, err := together([]*torch.Tensor{last.Boxes, last.Filters, last.Logits.Sigmoid().Amax([]int{2}, false)}, finite)
	if err != nil {
		return nil, err
	}
	boxes, filters, scores := found[0], found[1], found[2]
	out := make([]sampler.Prediction, len(states))
	n := e.proposals
	for i, sample := range e.samples {
		x0 := e.join(e.signal(boxes[4*n*i:4*n*(i+1)], sample), e.filterSignal(filters[e.filters*n*i:e.filters*n*(i+1)]))
		out[i] = sampler.Prediction{X0: e.tensor(s, x0), Scores: torch.From(s, scores[n*i:n*(i+1)], 1, n)}
	}
	return out, nil
}

// rows is boxes (B,N,4).
func (d diffusion) rows(s *torch.Scope, boxes []float32) *torch.Tensor {
	return torch.From(s, boxes, len(boxes)/(4*d.proposals), d.proposals, 4)
}

// filterRows is filters (B,N,filters) on a device, or nil without any.
func (d diffusion) filterRows(s *torch.Scope, filters []float32, device torch.Device) *torch.Tensor {
	if d.filters == 0 {
		return nil
	}
	return torch.From(s, filters, len(filters)/(d.filters*d.proposals), d.proposals, d.filters).To(device)
}

// tensor is a picture's state (1,N,4+filters) in the precision that sampling has.
func (d diffusion) tensor(s *torch.Scope, x []float64) *torch.Tensor {
	return torch.From(s, x, 1, d.proposals, len(x)/d.proposals).ToDType(torch.Float32)
}
