package libtorch

// #include <stdlib.h>
// #include "kernels.h"
import "C"

import (
	"fmt"
	"runtime/cgo"
	"unsafe"
)

// A Group is a set of members, threads or others, that share the statistics of batch norm (SyncBN).
type Group struct{ g C.di_group }

// NewGroup returns a group with the given number of members, to be released by Free.
func NewGroup(members int) *Group { return &Group{C.di_group_new(C.size_t(members))} }

// An Exchange returns the values of all members in an order that is the same for each, given the caller's.
// All are equally many.
type Exchange func(mine []float64) ([][]float64, error)

// NewGroupElsewhere returns a group whose members meet in gather, to be released by Free. gather may
// be called on any thread.
func NewGroupElsewhere(gather Exchange) *Group {
	return &Group{C.di_group_elsewhere(C.uintptr_t(cgo.NewHandle(gather)))}
}

//export diGroupGather
func diGroupGather(function C.uintptr_t, mine *C.double, n C.size_t, all **C.double, members *C.size_t) (failed *C.char) {
	defer func() { // a panic must not unwind C++
		if r := recover(); r != nil {
			failed = C.CString(fmt.Sprint("panic: ", r))
		}
	}()
	gather := cgo.Handle(function).Value().(Exchange)
	values, err := gather(unsafe.Slice((*float64)(unsafe.Pointer(mine)), int(n)))
	if err != nil {
		return C.CString(err.Error())
	}
	// C.malloc never returns nil, whatever the size.
	out := unsafe.Slice((*float64)(C.malloc(C.size_t(max(len(values)*int(n), 1)*8))), len(values)*int(n))
	for i, v := range values {
		if len(v) != int(n) {
			C.free(unsafe.Pointer(unsafe.SliceData(out)))
			return C.CString(fmt.Sprintf("member %d brings %d values, this one %d", i, len(v), int(n)))
		}
		copy(out[i*int(n):], v)
	}
	*all, *members = (*C.double)(unsafe.Pointer(unsafe.SliceData(out))), C.size_t(len(values))
	return nil
}

//export diGroupForget
func diGroupForget(function C.uintptr_t) { cgo.Handle(function).Delete() }

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
