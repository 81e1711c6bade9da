package torch

import "github.com/diffusioninst/go/internal/libtorch"

// Counts says how much work was done. It is the same whatever the machine and its load, unlike time.
type Counts struct {
	Operators int64 // of LibTorch that were called, without those that they call themselves
	Layouts   int64 // copies of a tensor into another order of memory, such as channels-last
	Bytes     int64 // of memory that tensors on the CPU asked for, freed or not
	FLOP      int64 // of matrix products and convolutions; a multiplication and an addition are two
	Launches  int64 // of this module's own kernels on GPUs
	Started   int64 // operators of LibTorch that start work on a GPU: not views, and those that others call, not these
	Transfers int64 // copies between the host and GPUs
	Waits     int64 // operators in which the host waits for a GPU: copies that block, and reads of a value or a shape
}

// Count runs f and returns what all tensor workers of the process did meanwhile. Operators take longer
// while they are counted. Fused kernels of this module count as the operators that they call, and of
// their FLOP only what matrix products and masks take.
func Count(f func()) Counts {
	libtorch.Count(true)
	defer libtorch.Count(false)
	before := libtorch.Counted()
	f()
	after := libtorch.Counted()
	return Counts{
		Operators: after.Operators - before.Operators, Layouts: after.Layouts - before.Layouts,
		Bytes: after.Bytes - before.Bytes, FLOP: after.FLOP - before.FLOP,
		Launches: after.Launches - before.Launches, Started: after.Started - before.Started, Transfers: after.Transfers - before.Transfers, Waits: after.Waits - before.Waits,
	}
}
