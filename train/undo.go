package train

import (
	"github.com/diffusioninst/go/backbone"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// passing is what a step that fails may have changed of a trainer: running statistics of batch norms, the random numbers of stochastic
// depth, and the loss's scale.
type passing struct {
	norms   []*nn.Norm
	batches []int64
	values  *torch.Tensor // means and variances, one after the other; nil without norms
	depth   []byte
	scale   lossScale // zero without one
}

// passing returns what it is now.
func (t *Trainer) passing(s *torch.Scope) passing {
	var p passing
	var values []*torch.Tensor
	for _, n := range t.store.Norms() {
		if n.Training && n.Kind == nn.BatchNorm {
			p.norms, p.batches = append(p.norms, n), append(p.batches, n.Batches)
			values = append(values, n.Mean, n.Variance)
		}
	}
	if len(values) > 0 {
		p.values = s.Hold(func() *torch.Tensor {
			for i, v := range values {
				values[i] = s.Adopt(v)
			}
			return torch.Cat(values, 0)
		})
	}
	if b, ok := t.network.Backbone.(backbone.Stochastic); ok {
		p.depth = b.RandomState()
	}
	if t.scale != nil {
		p.scale = *t.scale
	}
	return p
}

// undo puts it back after a step that failed. It needs no memory.
func (t *Trainer) undo(p passing) {
	if t.scale != nil {
		*t.scale = p.scale
	}
	at := 0
	for i, n := range p.norms {
		n.Batches = p.batches[i]
		for _, to := range []*torch.Tensor{n.Mean, n.Variance} {
			size := to.Elements()
			to.CopyInPlace(p.values.Narrow(0, at, size))
			at += size
		}
	}
	if b, ok := t.network.Backbone.(backbone.Stochastic); ok {
		_ = b.SetRandomState(p.depth) // it is its own
	}
}
