package torch

import (
	"fmt"

	"github.com/diffusioninst/go/internal/libtorch"
)

// ClipGradNorm scales the gradients of leaves by one factor so that the L2 norm of all
// of them together is at most limit, and returns the norm before. A limit of 0 only
// measures; a norm that is not finite leaves the gradients as they are.
func ClipGradNorm(leaves []*Tensor, limit float64) float64 {
	norm, e := libtorch.ClipNorm(handles(leaves), limit)
	check("clip_grad_norm", e)
	keepAlive(leaves)
	return norm
}

// ScaleGrads multiplies the gradients of leaves, those that have one, in one call.
func ScaleGrads(leaves []*Tensor, factor float64) {
	check("scale_grads", libtorch.ScaleGrads(handles(leaves), factor))
	keepAlive(leaves)
}

// AddGrads adds the gradient of each leaf in from, which loses it, to that of its
// counterpart.
func AddGrads(to, from []*Tensor) {
	if len(to) != len(from) {
		fail("add_grads", fmt.Sprintf("%d leaves and %d", len(to), len(from)))
	}
	check("add_grads", libtorch.AddGrads(handles(to), handles(from)))
	keepAlive(to)
	keepAlive(from)
}

// AdamW holds the constants of a step of AdamW (Loshchilov, Hutter 2019); see nn.NewAdamW.
type AdamW struct{ Rate, Decay, Beta1, Beta2, Eps float64 }

// Step moves the leaves that have a gradient. means and squares, of the leaves' shapes,
// and the numbers of steps are what AdamW remembers of each.
func (a AdamW) Step(leaves, means, squares []*Tensor, steps []int64) {
	if len(means) != len(leaves) || len(squares) != len(leaves) || len(steps) != len(leaves) {
		fail("adamw", fmt.Sprintf("%d leaves, %d means, %d squares, %d steps", len(leaves), len(means), len(squares), len(steps)))
	}
	check("adamw", libtorch.AdamW(handles(leaves), handles(means), handles(squares), steps, a.Rate, a.Decay, a.Beta1, a.Beta2, a.Eps))
	for _, list := range [][]*Tensor{leaves, means, squares} {
		keepAlive(list)
	}
}

// LerpAll moves each tensor towards its end in place: to += weight·(end − to). It
// records no gradients.
func LerpAll(to, ends []*Tensor, weight float64) {
	if len(to) != len(ends) {
		fail("lerp", fmt.Sprintf("%d tensors and %d ends", len(to), len(ends)))
	}
	check("lerp", libtorch.Lerp(handles(to), handles(ends), weight))
	keepAlive(to)
	keepAlive(ends)
}
