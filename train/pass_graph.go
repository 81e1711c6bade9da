package train

import (
	"github.com/diffusioninst/go/decoder"
	"github.com/diffusioninst/go/torch"
)

// pyramid computes the levels of the pyramid of a batch x (B,3,H,W), in float32 at least, and the mask branch's features.
func (t *Trainer) pyramid(p *pass, x *torch.Tensor) ([]*torch.Tensor, error) {
	out, err := t.graphs.compute(p, func(in []*torch.Tensor) ([]*torch.Tensor, error) {
		levels, features := p.replica.pyramid(in[0])
		if t.graphs != nil {
			for i, level := range levels {
				levels[i] = level.ChannelsLast() // in the order of their gradients
			}
		}
		return append(levels, features), nil
	}, x)
	if err != nil {
		return nil, err
	}
	n := len(out) - 1
	p.features = out[n]
	return out[:n:n], nil
}

// pyramid is pyramid and features of a batch x.
func (r *replica) pyramid(x *torch.Tensor) (levels []*torch.Tensor, features *torch.Tensor) {
	levels = r.network.Backbone.Forward(x)
	features = r.network.Branch.Forward(levels)
	out := make([]*torch.Tensor, len(levels))
	for i, level := range levels {
		out[i] = exact(level)
	}
	return out, features
}

// forwardAtOnce runs the network on a batch x and boxes in one part.
func (t *Trainer) forwardAtOnce(p *pass, x, boxes *torch.Tensor) error {
	d := p.replica.network.Decoder
	out, err := t.graphs.compute(p, func(in []*torch.Tensor) ([]*torch.Tensor, error) {
		levels, features := p.replica.pyramid(in[0])
		stages, finite, err := d.RefineAt(levels, in[1], nil, nil, in[2], true)
		out := []*torch.Tensor{features, finite}
		for _, s := range stages {
			out = append(out, s.Logits, s.Boxes, s.Filters)
		}
		return out, err
	}, x, boxes, d.Embed(p.scope, p.noised.times, t.device))
	if err != nil {
		return named(err, p.noised.samples)
	}
	p.features, p.finite, out = out[0], out[1], out[2:]
	for ; len(out) > 0; out = out[3:] {
		p.stages = append(p.stages, decoder.Output{Logits: out[0], Boxes: out[1], Filters: out[2]})
	}
	return nil
}
