package libtorch

// #include "kernels.h"
import "C"

// A Group is a set of threads that share the statistics of batch norm (SyncBN).
type Group struct{ g C.di_group }

// NewGroup returns a group with the given number of members, to be released by Free.
func NewGroup(members int) *Group { return &Group{C.di_group_new(C.size_t(members))} }

// Free releases the group.
func (g *Group) Free() { C.di_group_free(g.g) }

// Abort makes all calls fail that wait for other members, now or later.
func (g *Group) Abort() { C.di_group_abort(g.g) }

// BatchNormTraining returns x (B,C,H,W) normalised with the statistics of the batch, followed by a
// ReLU if relu is set, and updates the running mean and variance, which may be nil. If group is
// not nil, the statistics are taken over the batches of all members; rank is the caller's.
func BatchNormTraining(x, weight, bias, mean, variance Handle, momentum, eps float64, relu bool, group *Group, rank int) (Handle, *Error) {
	var g C.di_group
	if group != nil {
		g = group.g
	}
	return one(C.di_batch_norm(C.di_tensor(x), C.di_tensor(weight), C.di_tensor(bias), C.di_tensor(mean), C.di_tensor(variance),
		C.double(momentum), C.double(eps), C.bool(relu), g, C.size_t(rank)))
}

// ShareThreads sets the number of threads of operators called from this thread only.
func ShareThreads(n int) { C.di_share_threads(C.int(n)) }
