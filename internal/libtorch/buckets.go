package libtorch

// #include <stdlib.h>
// #include "kernels.h"
import "C"

import (
	"fmt"
	"runtime/cgo"
	"unsafe"
)

// Buckets are the gradients of parameters on a GPU, on the C++ heap, to be released by Free.
type Buckets struct{ b C.di_buckets }

// An Enqueue does something in a stream with elements at an address of a GPU. It may be called on any thread.
type Enqueue func(address uintptr, elements int, stream uintptr) error

// NewBuckets returns the buckets of parameters of one type on one GPU, of about so many bytes each, whose sums
// over all processes sum enqueues.
func NewBuckets(parameters []Handle, bytes int, sum Enqueue) (*Buckets, *Error) {
	b, function := &Buckets{}, cgo.NewHandle(sum)
	err := takeError(C.di_buckets_new((*C.di_tensor)(unsafe.Pointer(unsafe.SliceData(parameters))), C.size_t(len(parameters)), C.int64_t(bytes), C.uintptr_t(function), &b.b))
	if err != nil {
		function.Delete()
		return nil, err
	}
	return b, nil
}

//export diBucketsSum
func diBucketsSum(function, address C.uintptr_t, n C.size_t, stream C.int64_t) (failed *C.char) {
	defer func() { // a panic must not unwind C++
		if r := recover(); r != nil {
			failed = C.CString(fmt.Sprint("panic: ", r))
		}
	}()
	if err := cgo.Handle(function).Value().(Enqueue)(uintptr(address), int(n), uintptr(stream)); err != nil {
		return C.CString(err.Error())
	}
	return nil
}

//export diBucketsForget
func diBucketsForget(function C.uintptr_t) { cgo.Handle(function).Delete() }

// Free releases the buckets.
func (b *Buckets) Free() { C.di_buckets_free(b.b) }

// Count returns the number of buckets.
func (b *Buckets) Count() int { return int(C.di_buckets_count(b.b)) }

// Arm makes the next backward pass give its gradients.
func (b *Buckets) Arm() *Error { return takeError(C.di_buckets_arm(b.b)) }

// Rest gives what the backward pass has not given.
func (b *Buckets) Rest() *Error { return takeError(C.di_buckets_rest(b.b)) }

// Done reports whether what was enqueued has been done.
func (b *Buckets) Done() (bool, *Error) {
	var done C.bool
	err := takeError(C.di_buckets_done(b.b, &done))
	return bool(done), err
}

// Store makes what is in the buckets the gradients of parameters, by their places.
func (b *Buckets) Store(parameters []int) *Error {
	list, n := dims(parameters)
	return takeError(C.di_buckets_store(b.b, list, n))
}
