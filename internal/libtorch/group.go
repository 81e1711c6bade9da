package libtorch

// #include "kernels.h"
import "C"

// A Group is threads that compute one thing together, on the C++ heap.
type Group struct{ g C.di_group }

// NewGroup returns a group with a number of members.
func NewGroup(members int) *Group { return &Group{C.di_group_new(C.size_t(members))} }

// Free gives up the group.
func (g *Group) Free() { C.di_group_free(g.g) }

// Abort makes all members fail that wait for others, now or later.
func (g *Group) Abort() { C.di_group_abort(g.g) }

// BatchNormTraining normalises x (B,C,H,W) with the statistics of the batch, or of the batches of
// all members of a group, which may be nil, and moves the running ones, which may be nil.
func BatchNormTraining(x, weight, bias, mean, variance Handle, momentum, eps float64, relu bool, group *Group, rank int) (Handle, *Error) {
	var g C.di_group
	if group != nil {
		g = group.g
	}
	return one(C.di_batch_norm(C.di_tensor(x), C.di_tensor(weight), C.di_tensor(bias), C.di_tensor(mean), C.di_tensor(variance),
		C.double(momentum), C.double(eps), C.bool(relu), g, C.size_t(rank)))
}

// ShareThreads sets the size of the calling thread's intra-operator team and of no other's.
func ShareThreads(n int) { C.di_share_threads(C.int(n)) }
