package nn

import "github.com/diffusioninst/go/torch"

// SGDOptions are the settings of NewSGD; zero is plain gradient descent.
type SGDOptions struct {
	Momentum float64
	Nesterov bool // look ahead along the momentum
}

type sgd struct {
	*memory
	SGDOptions
}

// NewSGD returns stochastic gradient descent with momentum, weight decay being part of
// the gradient:
//
//	b ← μ·b + (g + λ·θ),  θ ← θ − η·b
//
// and with Nesterov θ ← θ − η·(g + λ·θ + μ·b). Parameters that require no gradient
// are left alone.
func NewSGD(groups []ParamGroup, o SGDOptions) Optimizer {
	return &sgd{newMemory("sgd", groups, "momentum"), o}
}

func (o *sgd) Step(rate float64) {
	o.each(func(g ParamGroup, p, grad *torch.Tensor, slot []*torch.Tensor, _ int64) {
		d, momentum := grad.Clone(), slot[0]
		if g.Decay != 0 {
			d.AddScaledInPlace(p, g.Decay)
		}
		momentum.MulScalarInPlace(o.Momentum).AddInPlace(d)
		if o.Nesterov {
			d.AddScaledInPlace(momentum, o.Momentum)
		} else {
			d = momentum
		}
		p.AddScaledInPlace(d, -rate*g.Rate)
	})
}
