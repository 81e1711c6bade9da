package torch

import (
	"fmt"
	"runtime"
	"sync/atomic"

	"github.com/diffusioninst/go/internal/libtorch"
)

// A Tensor is a multi-dimensional array that belongs to a Scope or, after Keep, to
// whoever holds it. Its operators panic with *Error; see Do.
type Tensor struct {
	h       libtorch.Handle
	scope   *Scope
	cleanup runtime.Cleanup
}

var live atomic.Int64

// Live returns the number of tensor handles that have not been freed. Tests check that
// it ends where it began.
func Live() int64 { return live.Load() }

func free(handles []libtorch.Handle) {
	if len(handles) > 0 {
		libtorch.Free(handles...)
		live.Add(-int64(len(handles)))
	}
}

// guard is the safety net of a tensor without a scope: the garbage collector
// frees it in the end. Close does so now.
func (t *Tensor) guard() {
	t.cleanup = runtime.AddCleanup(t, func(h libtorch.Handle) { free([]libtorch.Handle{h}) }, t.h)
}

// Keep takes t out of its scope: it lives until Close. It returns t.
func (t *Tensor) Keep() *Tensor {
	t.handle()
	if t.scope != nil {
		t.scope = nil
		t.guard()
	}
	return t
}

// Close frees the tensor now. Closing twice does nothing.
func (t *Tensor) Close() {
	if t == nil || t.h == nil {
		return
	}
	if t.scope == nil {
		t.cleanup.Stop()
	}
	free([]libtorch.Handle{t.h})
	t.h = nil
}

// Scope returns the tensor's owner, nil for a kept one and for none.
func (t *Tensor) Scope() *Scope {
	if t == nil {
		return nil
	}
	return t.scope
}

func (t *Tensor) handle() libtorch.Handle {
	if t == nil || t.h == nil {
		panic(&Error{Op: "use", Message: "the tensor is nil, was closed, or its scope has ended"})
	}
	if s := t.scope; s != nil && s.until != nil {
		if err := s.until.Err(); err != nil {
			panic(&Error{Op: "use", Message: err.Error(), Err: err})
		}
	}
	return t.h
}

// optionalHandle allows nil for an argument that may be left out.
func (t *Tensor) optionalHandle() libtorch.Handle {
	if t == nil {
		return nil
	}
	return t.handle()
}

func handles(tensors []*Tensor) []libtorch.Handle {
	out := make([]libtorch.Handle, len(tensors))
	for i, t := range tensors {
		out[i] = t.handle()
	}
	return out
}

func keepAlive(tensors []*Tensor) {
	for _, t := range tensors {
		runtime.KeepAlive(t)
	}
}

// Shape returns the size of every dimension.
func (t *Tensor) Shape() []int {
	defer runtime.KeepAlive(t)
	return libtorch.Shape(t.handle())
}

// Size returns the size of one dimension; negative ones count from the last.
func (t *Tensor) Size(dim int) int {
	shape := t.Shape()
	if dim < 0 {
		dim += len(shape)
	}
	if dim < 0 || dim >= len(shape) {
		fail("size", fmt.Sprintf("no dimension %d", dim), t)
	}
	return shape[dim]
}

// Dim returns the number of dimensions.
func (t *Tensor) Dim() int { return len(t.Shape()) }

// Elements returns the number of elements.
func (t *Tensor) Elements() int { return elements(t.Shape()) }

func elements(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// DType returns the type of the elements.
func (t *Tensor) DType() DType {
	defer runtime.KeepAlive(t)
	return dtypeOf(libtorch.DType(t.handle()))
}

// Device returns the device that the tensor lives on.
func (t *Tensor) Device() Device {
	defer runtime.KeepAlive(t)
	return Device{libtorch.Device(t.handle()) + 1}
}

// IsChannelsLast reports whether (B,C,H,W) lies in memory with its channels adjacent.
func (t *Tensor) IsChannelsLast() bool {
	defer runtime.KeepAlive(t)
	return libtorch.IsChannelsLast(t.handle())
}

// Changes returns how often operators in place, AdamW and LerpAll have changed the tensor's memory, which
// it may share with others: two equal numbers mean that its values are still the same.
func (t *Tensor) Changes() int64 {
	defer runtime.KeepAlive(t)
	return libtorch.Changes(t.handle())
}

// To returns the tensor on another device, sharing memory if it is there.
func (t *Tensor) To(d Device) *Tensor {
	h, e := libtorch.ToDevice(t.handle(), d.index())
	check("to", e, t)
	return t.scope.own(h)
}

// String returns type, shape and device, such as "float32[3 4] cpu".
func (t *Tensor) String() string {
	if t == nil || t.h == nil {
		return "closed tensor"
	}
	return fmt.Sprintf("%v%v %v", t.DType(), t.Shape(), t.Device())
}
