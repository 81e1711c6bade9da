package torch

import "github.com/diffusioninst/go/internal/libtorch"

// PeakRate returns the floating-point operations per second that one core of this machine does in
// float32 at best, which it measures in some milliseconds: multiply-adds of its widest vectors that
// need no memory. Good kernels of matrix products reach 50 to 90 % of it.
func PeakRate() float64 { return libtorch.PeakRate() }

// BLASCore returns the name of the processor whose kernels OpenBLAS uses, such as SkylakeX; "" if the
// BLAS is another one.
func BLASCore() string { return libtorch.BLASCore() }
