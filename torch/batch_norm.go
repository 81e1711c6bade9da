package torch

import (
	"runtime"

	"github.com/diffusioninst/go/internal/libtorch"
)

// Group lets the workers of a Team train on parts of one batch as if each had all of
// it: see BatchNormTraining.
type Group struct{ g *libtorch.Group }

// NewGroup is a group of a number of members.
func NewGroup(members int) *Group {
	g := &Group{libtorch.NewGroup(members)}
	runtime.AddCleanup(g, (*libtorch.Group).Free, g.g)
	return g
}

// Abort is an error for all members that wait for the others, now or later.
func (g *Group) Abort() {
	g.g.Abort()
	runtime.KeepAlive(g)
}

// Member is one of a group, by its rank from 0.
type Member struct {
	Group *Group
	Rank  int
}

// BatchNormTraining is how x (B,C,H,W) is normalised in training (Ioffe, Szegedy 2015),
// with a ReLU after it where relu says so.
type BatchNormTraining struct {
	Weight, Bias   *Tensor // (C)
	Mean, Variance *Tensor // (C): the running ones, which follow the batch's; may be nil
	Momentum, Eps  float64
	ReLU           bool
	// Member, if it is not nil, makes the statistics those of all members' pictures,
	// forward and backward. All must do the same, in the same order.
	Member *Member
}

// Forward normalises x, which is of the type of Weight and Bias, or bfloat16 where
// they are float32. Gradients flow to x, Weight and Bias. On the CPU it is one fused
// kernel, which keeps nothing but x for the backward pass; elsewhere it is LibTorch's,
// which knows no members.
func (n BatchNormTraining) Forward(x *Tensor) *Tensor {
	if x.Device().IsCUDA() {
		if n.Member != nil {
			fail("batch_norm", "a group's statistics are for the CPU", x)
		}
		y := x.BatchNorm(n.Weight, n.Bias, n.Mean, n.Variance, true, n.Momentum, n.Eps, true)
		if n.ReLU {
			y = y.ReluInPlace()
		}
		return y
	}
	var group *libtorch.Group
	rank := 0
	if n.Member != nil {
		group, rank = n.Member.Group.g, n.Member.Rank
	}
	h, e := libtorch.BatchNormTraining(x.handle(), n.Weight.handle(), n.Bias.handle(), n.Mean.optionalHandle(), n.Variance.optionalHandle(),
		n.Momentum, n.Eps, n.ReLU, group, rank)
	runtime.KeepAlive(n.Member)
	check("batch_norm", e, x, n.Weight, n.Bias, n.Mean, n.Variance)
	return scopeOf(x).own(h)
}
