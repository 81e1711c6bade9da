package nn

import (
	"math"

	"github.com/diffusioninst/go/torch"
)

// AdamWOptions differ from AdamW's usual constants. The zero value of a field means
// the usual one.
type AdamWOptions struct {
	Beta1 float64 // of the mean of gradients: 0.9
	Beta2 float64 // of the mean of their squares: 0.999
	Eps   float64 // 1e-8
}

type adamW struct {
	*memory
	AdamWOptions
}

// NewAdamW is Adam with decoupled weight decay (Loshchilov, Hutter 2019):
//
//	θ ← θ − η·λ·θ
//	m ← β₁·m + (1−β₁)·g,  v ← β₂·v + (1−β₂)·g²
//	θ ← θ − η·(m/(1−β₁ᵗ)) / (√(v/(1−β₂ᵗ)) + ε)
//
// Parameters that require no gradient are left alone.
func NewAdamW(groups []Group, o AdamWOptions) Optimizer {
	for _, f := range []struct {
		field    *float64
		standard float64
	}{{&o.Beta1, 0.9}, {&o.Beta2, 0.999}, {&o.Eps, 1e-8}} {
		if *f.field == 0 {
			*f.field = f.standard
		}
	}
	return &adamW{newMemory("adamw", groups, "mean", "square"), o}
}

func (a *adamW) Step(rate float64) {
	a.each(func(g Group, p, grad *torch.Tensor, slot []*torch.Tensor, step int64) {
		eta, mean, square := rate*g.Rate, slot[0], slot[1]
		if g.Decay != 0 {
			p.MulScalarInPlace(1 - eta*g.Decay)
		}
		mean.MulScalarInPlace(a.Beta1).AddScaledInPlace(grad, 1-a.Beta1)
		square.MulScalarInPlace(a.Beta2).AddcmulInPlace(grad, grad, 1-a.Beta2)
		bias1, bias2 := 1-math.Pow(a.Beta1, float64(step)), 1-math.Pow(a.Beta2, float64(step))
		root := grad.Scope().Adopt(square).Sqrt().MulScalarInPlace(1 / math.Sqrt(bias2)).AddScalarInPlace(a.Eps)
		p.AddcdivInPlace(mean, root, -eta/bias1)
	})
}
