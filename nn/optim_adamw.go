package nn

import (
	"math"

	"github.com/diffusioninst/go/torch"
)

// AdamWOptions are the constants of AdamW. The zero value of a field means the usual one.
type AdamWOptions struct {
	Beta1 float64 // of the mean of gradients: 0.9
	Beta2 float64 // of the mean of their squares: 0.999
	Eps   float64 // 1e-8
}

type adamW struct {
	*memory
	AdamWOptions
}

// NewAdamW returns Adam with decoupled weight decay (Loshchilov, Hutter 2019):
//
//	θ ← θ − η·λ·θ
//	m ← β₁·m + (1−β₁)·g,  v ← β₂·v + (1−β₂)·g²
//	θ ← θ − η·(m/(1−β₁ᵗ)) / (√(v/(1−β₂ᵗ)) + ε)
//
// Parameters that do not require gradients are left alone. Impossible constants panic with
// a *torch.Error, which torch.Do returns.
func NewAdamW(groups []ParamGroup, o AdamWOptions) Optimizer {
	for _, f := range []struct {
		field    *float64
		standard float64
	}{{&o.Beta1, 0.9}, {&o.Beta2, 0.999}, {&o.Eps, 1e-8}} {
		if *f.field == 0 {
			*f.field = f.standard
		}
	}
	check("adamw", o.Beta1 >= 0 && o.Beta1 < 1 && o.Beta2 >= 0 && o.Beta2 < 1 && o.Eps >= 0 && !math.IsInf(o.Eps, 0),
		"constants %+v: want betas of at least 0 and below 1, and a positive Eps", o)
	return &adamW{newMemory("adamw", groups, "mean", "square"), o}
}

func (a *adamW) Step(rate float64) {
	from := 0
	for _, g := range a.groups {
		var leaves, means, squares []*torch.Tensor
		for i, p := range g.Parameters {
			slot := a.slots[from+i]
			leaves, means, squares = append(leaves, p.Tensor), append(means, slot[0]), append(squares, slot[1])
		}
		to := from + len(leaves)
		torch.AdamW{Rate: rate * g.Rate, Decay: g.Decay, Beta1: a.Beta1, Beta2: a.Beta2, Eps: a.Eps}.
			Step(leaves, means, squares, a.steps[from:to])
		from = to
	}
}
