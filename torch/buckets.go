package torch

import "github.com/diffusioninst/go/internal/libtorch"

// A Bucket is memory on a GPU, on which something is to be enqueued in a stream: that waits for what wrote the memory.
type Bucket struct {
	Device   Device
	DType    DType
	Address  uintptr // on the GPU
	Elements int
	Stream   uintptr // as the CUDA driver has it
}

// Buckets add up the gradients of parameters on a GPU over several processes while the backward pass goes on: the
// gradients of the last parameters, which are ready first, make the first bucket. All processes must have the same
// parameters and make the same calls. One goroutine at a time may use them.
type Buckets struct {
	b          *libtorch.Buckets
	parameters []*Tensor
}

// NewBuckets returns the buckets, of at most so many bytes where several parameters share one, of the leaves that require
// gradients. They are of one type, on one GPU, and must live until Close. sum enqueues that
// a bucket is replaced by the sum over all processes. It is called on the thread of the backward pass, one bucket
// after the other, in the same order in all processes.
func NewBuckets(leaves []*Tensor, bytes int, sum func(b Bucket) error) *Buckets {
	if len(leaves) == 0 {
		fail("buckets", "there are no parameters")
	}
	device, dtype := leaves[0].Device(), leaves[0].DType()
	b, e := libtorch.NewBuckets(handles(leaves), bytes, func(address uintptr, elements int, stream uintptr) error {
		return sum(Bucket{device, dtype, address, elements, stream})
	})
	check("buckets", e)
	keepAlive(leaves)
	return &Buckets{b, leaves}
}

func (b *Buckets) made() *libtorch.Buckets {
	if b == nil || b.b == nil {
		fail("buckets", "they are nil or were not made by NewBuckets")
	}
	return b.b
}

// Arm makes the next backward pass hand over its gradients, bucket by bucket. They are the sums over all passes since the
// gradients were cleared.
func (b *Buckets) Arm() { check("buckets", b.made().Arm()) }

// Rest hands over the buckets that are left after the backward pass, or without one. Parameters without a gradient
// count as zeros. If a sum has failed, or what came before it, it panics with the first *Error, after it has handed over
// all buckets nevertheless.
func (b *Buckets) Rest() { check("buckets", b.made().Rest()) }

// Done reports whether the GPU has added up all buckets.
func (b *Buckets) Done() bool {
	done, e := b.made().Done()
	check("buckets", e)
	return done
}

// Store makes the sums the gradients of parameters, by their places among the leaves. They share memory with the
// buckets: they must be gone when Arm is called again.
func (b *Buckets) Store(places []int) {
	check("buckets", b.made().Store(places))
	keepAlive(b.parameters)
}

// Len returns the number of buckets.
func (b *Buckets) Len() int { return b.made().Count() }

// Close frees the buckets, which must be done.
func (b *Buckets) Close() {
	if b == nil || b.b == nil {
		return
	}
	b.b.Free()
	b.b = nil
	keepAlive(b.parameters)
}
