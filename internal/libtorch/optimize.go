package libtorch

// #include "kernels.h"
// #cgo noescape di_clip_norm
// #cgo noescape di_scale_grads
// #cgo noescape di_add_grads
// #cgo noescape di_adamw
// #cgo noescape di_lerp
import "C"

import "unsafe"

func list(handles []Handle) (*C.di_tensor, C.size_t) {
	return (*C.di_tensor)(unsafe.Pointer(unsafe.SliceData(handles))), C.size_t(len(handles))
}

// ClipNorm scales the gradients of leaves so that their joint Euclidean norm is at most limit
// and returns the norm that they had. A limit of 0 only measures.
func ClipNorm(leaves []Handle, limit float64) (float64, *Error) {
	p, n := list(leaves)
	var norm C.double
	e := takeError(C.di_clip_norm(p, n, C.double(limit), &norm))
	return float64(norm), e
}

// ScaleGrads multiplies the gradients of leaves.
func ScaleGrads(leaves []Handle, factor float64) *Error {
	p, n := list(leaves)
	return takeError(C.di_scale_grads(p, n, C.double(factor)))
}

// AddGrads adds the gradient of each leaf of from to that of its counterpart in to, and clears it.
func AddGrads(to, from []Handle) *Error {
	a, n := list(to)
	b, _ := list(from)
	return takeError(C.di_add_grads(a, b, n))
}

// AdamW updates the leaves that have a gradient, their moments (means, squares) and their step counts.
func AdamW(leaves, means, squares []Handle, steps []int64, rate, decay, beta1, beta2, eps float64) *Error {
	p, n := list(leaves)
	m, _ := list(means)
	v, _ := list(squares)
	return takeError(C.di_adamw(p, m, v, (*C.int64_t)(unsafe.SliceData(steps)), n,
		C.double(rate), C.double(decay), C.double(beta1), C.double(beta2), C.double(eps)))
}

// Lerp adds weight·(end − to) to each tensor of to.
func Lerp(to, ends []Handle, weight float64) *Error {
	a, n := list(to)
	b, _ := list(ends)
	return takeError(C.di_lerp(a, b, n, C.double(weight)))
}
