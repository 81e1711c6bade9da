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
// are left alone. Impossible settings panic with a *torch.Error, which torch.Do returns:
// a momentum below 0, or not below 1, and Nesterov without momentum.
func NewSGD(groups []ParamGroup, o SGDOptions) Optimizer {
	check("sgd", o.Momentum >= 0 && o.Momentum < 1, "a momentum of %v: want at least 0 and below 1", o.Momentum)
	check("sgd", !o.Nesterov || o.Momentum > 0, "Nesterov without momentum: there is nothing to look ahead along")
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
