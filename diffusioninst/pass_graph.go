package diffusioninst

import (
	"github.com/diffusioninst/go/decoder"
	"github.com/diffusioninst/go/torch"
)

// replay takes the pyramid and the mask features from a graph. It returns false if they are to be computed.
func (p *pass) replay(s *torch.Scope, x *torch.Tensor) bool {
	if p.graphs == nil {
		return false
	}
	p.input = p.graphs.input(x.Shape())
	out := p.graphs.run(s, "backbone", &p.input.pyramid, func(in []*torch.Tensor) ([]*torch.Tensor, error) {
		levels := p.model.backbone.Forward(in[0])
		return append(levels[:len(levels):len(levels)], p.model.branch.Forward(levels)), nil
	}, x)
	if out == nil {
		return false
	}
	n := len(out) - 1
	p.levels, p.features = out[:n], out[n]
	return true
}

// settle makes the pyramid lie where decoders' graphs read it, once it has been computed.
func (p *pass) settle() {
	in := p.input
	if in == nil {
		return
	}
	in.pyramid.warm = true
	if !in.pyramid.refused {
		return // a graph computes it, or will
	}
	if in.levels == nil {
		for _, l := range p.levels {
			in.levels = append(in.levels, l.Clone().Keep())
		}
	}
	read := make([]*torch.Tensor, len(p.levels))
	for i, l := range p.levels {
		read[i] = l.Scope().Adopt(in.levels[i].CopyInPlace(l))
	}
	p.levels = read
}

// decoded is what a pass through the decoder makes of a noisy state.
type decoded struct {
	boxes  *torch.Tensor    // (B,N,4) that it began with, in pixels of the network's input
	stages []decoder.Output // of the last stage at least
	scores *torch.Tensor    // (B,N,K)
	finite *torch.Tensor    // of decoder.Refine
	x0     *torch.Tensor    // (B,N,D) estimate of the clean state, clamped
	top    *torch.Tensor    // (B,N) best score
	best   *torch.Tensor    // of best; nil if it is to be computed
}

// decode runs the decoder on a noisy state x (B,N,D), with sizes of inputs as in pass, embedded times and, with self-conditioning,
// what conditioning returns.
func (p *pass) decode(x, sizes, times, told *torch.Tensor) (decoded, error) {
	m := p.model
	scale := m.config.SignalScale
	x = x.Clamp(-scale, scale)
	d := decoded{boxes: corners(x.Narrow(2, 0, 4).DivScalar(scale).AddScalar(1).DivScalar(2)).Mul(sizes)}
	var filters *torch.Tensor
	if m.config.FilterRange > 0 {
		filters = x.Narrow(2, 4, x.Size(2)-4).MulScalar(m.config.FilterRange / scale)
	}
	var err error
	if d.stages, d.finite, err = m.decoder.RefineAt(p.levels, d.boxes, filters, told, times, p.watch != nil); err != nil {
		return d, err
	}
	last := d.last()
	d.scores = last.Logits.Sigmoid()
	d.x0 = centres(last.Boxes.Div(sizes)).MulScalar(2).AddScalar(-1).MulScalar(scale)
	if filters != nil {
		d.x0 = torch.Cat([]*torch.Tensor{d.x0, last.Filters.MulScalar(scale / m.config.FilterRange)}, 2)
	}
	d.x0 = d.x0.Clamp(-scale, scale)
	d.top = d.scores.Amax([]int{2}, false)
	return d, nil
}

func (d decoded) last() decoder.Output { return d.stages[len(d.stages)-1] }

// decodeAgain is decode from a graph, if there is one or can be. What it returns beside boxes, stages and scores is the
// caller's; those are overwritten by the next step.
func (p *pass) decodeAgain(x, sizes, times, told *torch.Tensor) (decoded, error) {
	if p.input == nil {
		return p.decode(x, sizes, times, told)
	}
	r := p.input.decoder(x)
	if p.input.pyramid.graph == nil && p.input.levels == nil {
		return p.warm(r, x, sizes, times, told)
	}
	inputs := []*torch.Tensor{x, sizes, times}
	if told != nil {
		inputs = append(inputs, told)
	}
	out := p.graphs.run(x.Scope(), "decoder", &r.graphPart, func(in []*torch.Tensor) ([]*torch.Tensor, error) {
		var told *torch.Tensor
		if len(in) > 3 {
			told = in[3]
		}
		d, err := p.decode(in[0], in[1], in[2], told)
		if err != nil {
			return nil, err
		}
		last := d.last()
		return []*torch.Tensor{d.boxes, last.Logits, last.Boxes, last.Filters, d.scores, d.finite, d.x0, d.top, best(d.scores, last)}, nil
	}, inputs...)
	if out == nil {
		return p.warm(r, x, sizes, times, told)
	}
	return decoded{
		boxes: out[0], stages: []decoder.Output{{Logits: out[1], Boxes: out[2], Filters: out[3]}}, scores: out[4],
		finite: out[5].Clone(), x0: out[6].Clone(), top: out[7].Clone(), best: out[8].Clone(),
	}, nil
}

// warm is decode, after which it can be recorded.
func (p *pass) warm(r *decoderGraph, x, sizes, times, told *torch.Tensor) (decoded, error) {
	d, err := p.decode(x, sizes, times, told)
	r.warm = r.warm || err == nil
	return d, err
}
