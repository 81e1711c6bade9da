package torch

import (
	"runtime"

	"github.com/diffusioninst/go/internal/libtorch"
)

// A SyncGroup lets the workers of a Team, or processes, train on parts of one batch with the
// batch norm statistics of all of it (SyncBN); see BatchNormTraining.
type SyncGroup struct{ g *libtorch.Group }

// NewSyncGroup returns a group with a number of members.
func NewSyncGroup(members int) *SyncGroup {
	g := &SyncGroup{libtorch.NewGroup(members)}
	runtime.AddCleanup(g, (*libtorch.Group).Free, g.g)
	return g
}

// NewSyncGroupOver returns a group whose members meet in gather, such as other processes. gather
// returns the values of all members that have pictures, equally many of each, in an order that is the same
// for every member; its error makes the batch norm, forward or backward, fail with its text. It may be called on any
// thread. Members of such a group need no rank.
func NewSyncGroupOver(gather func(mine []float64) ([][]float64, error)) *SyncGroup {
	g := &SyncGroup{libtorch.NewGroupElsewhere(gather)}
	runtime.AddCleanup(g, (*libtorch.Group).Free, g.g)
	return g
}

// Abort makes all members of a NewSyncGroup fail that wait for the others, now or later.
func (g *SyncGroup) Abort() {
	if g == nil || g.g == nil {
		fail("sync_group", "the group is nil or was not made by NewSyncGroup")
	}
	g.g.Abort()
	runtime.KeepAlive(g)
}

// A SyncMember is one member of a SyncGroup.
type SyncMember struct {
	Group *SyncGroup
	Rank  int // from 0
}

// BatchNormTraining says how x (B,C,H,W) is normalised in training (Ioffe, Szegedy 2015),
// followed by a ReLU if ReLU is set.
type BatchNormTraining struct {
	Weight, Bias   *Tensor // (C)
	Mean, Variance *Tensor // (C): the running ones, which follow the batch's; may be nil
	Momentum, Eps  float64
	ReLU           bool
	// Member, if not nil, makes the statistics cover the pictures of all members (SyncBN),
	// forward and backward. All members must do the same, in the same order.
	Member *SyncMember
}

// Forward returns x normalised. x is of the type of Weight and Bias, or bfloat16 where
// they are float32. Gradients flow to x, Weight and Bias. On the CPU it is one fused
// kernel, which keeps only x for the backward pass; elsewhere it is LibTorch's, or composed
// of LibTorch's operators with a Member, for which the host waits once forward and once backward.
func (n BatchNormTraining) Forward(x *Tensor) *Tensor {
	if x.Device().IsCUDA() && n.Member == nil {
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
