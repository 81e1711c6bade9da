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

// ownSteps replaces, in the pass, the boxes of the pictures that begin with the model's own
// step: the decoder estimates the clean boxes at the earlier time, and the sampler steps from there.
func (t *Trainer) ownSteps(ctx context.Context, p *pass, levels []*torch.Tensor) (err error) {
	n, d := p.noised, t.diffusion()
	e := estimate{diffusion: d, decoder: p.replica.network.Decoder}
	var at []int64
	var times []float64
	var states [][]float64
	for i, b := range n.beginnings {
		if b.earlier > 0 {
			at, times, states = append(at, int64(i)), append(times, float64(b.earlier)), append(states, d.state(b, b.earlier))
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
		if found, err = e.run(s, states, times); err != nil {
			return
		}
		for k, i := range at {
			b := n.beginnings[i]
			again := func(m sampler.Moment, x *torch.Tensor) (sampler.Prediction, error) {
				found, err := e.only(k).run(s, [][]float64{torch.Values[float64](x)}, []float64{float64(m.T)})
				if err != nil {
					return sampler.Prediction{}, err
				}
				return found[0], nil
			}
			var x *torch.Tensor
			if x, err = t.config.Sampling.Advance(ctx, e.tensor(s, states[k]), found[k], b.earlier, b.time, sampler.SeededNoise(b.seed), again); err != nil {
				return
			}
			copy(n.boxes[int(i)*4*d.proposals:], d.pixels(torch.Values[float64](x), n.samples[i]))
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

// run decodes the pictures' states at their times.
func (e estimate) run(s *torch.Scope, states [][]float64, times []float64) ([]sampler.Prediction, error) {
	var start []float32
	for i, x := range states {
		start = append(start, e.pixels(x, e.samples[i])...)
	}
	stages, err := e.decoder.Forward(e.levels, torch.From(s, start, len(states), e.proposals, 4).To(e.levels[0].Device()), times, false)
	if err != nil {
		return nil, err
	}
	last := stages[len(stages)-1]
	boxes, scores := torch.Values[float32](last.Boxes), torch.Values[float32](last.Logits.Sigmoid().Amax([]int{2}, false))
	out := make([]sampler.Prediction, len(states))
	for i, sample := range e.samples {
		x0 := e.signal(boxes[4*e.proposals*i:4*e.proposals*(i+1)], sample)
		out[i] = sampler.Prediction{
			X0:     torch.From(s, x0, 1, e.proposals, 4),
			Scores: torch.From(s, scores[e.proposals*i:e.proposals*(i+1)], 1, e.proposals),
		}
	}
	return out, nil
}

// tensor is a picture's state (1,N,4) in the precision that sampling has.
func (e estimate) tensor(s *torch.Scope, x []float64) *torch.Tensor {
	return torch.From(s, x, 1, e.proposals, 4).ToDType(torch.Float32)
}
