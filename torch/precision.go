package torch

import (
	"context"
	"fmt"
	"runtime"

	"golang.org/x/sys/cpu"

	"github.com/diffusioninst/go/internal/libtorch"
	"github.com/diffusioninst/go/internal/processor"
)

// CheckPrecision returns an error, which wraps an *Error, if the device cannot compute
// convolutions in a type: oneDNN has none in bfloat16 for x86 processors without AVX-512, which
// LibTorch notices on some of them only when it runs one. On the others it multiplies number by number, a hundred times
// as slowly as in float32, and rounds every sum. GPUs multiply bfloat16 numbers from compute
// capability 8.0 on, and LibTorch's older releases resize no pictures in it.
func (d Device) CheckPrecision(ctx context.Context, dtype DType) error {
	if err := d.Check(); err != nil {
		return err
	}
	if d.IsCUDA() && dtype == BFloat16 {
		have, e := libtorch.Capability(d.index())
		if e != nil {
			return fmt.Errorf("torch: the compute capability of %v: %w", d, describe("capability", e.Message))
		}
		if have < 80 {
			return fmt.Errorf("torch: no products in bfloat16 on %v: %w", d,
				&Error{Op: "capability", Message: fmt.Sprintf("its compute capability is %d.%d, and bfloat16 needs 8.0", have/10, have%10)})
		}
	}
	if x86 := cpu.X86; !d.IsCUDA() && dtype == BFloat16 && runtime.GOARCH == "amd64" && !(x86.HasAVX512BW && x86.HasAVX512VL && x86.HasAVX512DQ) {
		return fmt.Errorf("torch: no convolutions in %v on %v of this machine: %w", dtype, d,
			&Error{Op: "convolution", Message: "the processor lacks AVX-512, without which oneDNN has none in this type"})
	}
	err := Do(ctx, func(s *Scope) error {
		x := s.Zeros(Options{DType: dtype, Device: d}, 1, 16, 8, 8)
		weight := s.Zeros(Options{DType: dtype, Device: d}, 16, 16, 3, 3)
		x = x.Conv2d(weight, nil, []int{1, 1}, []int{1, 1}, []int{1, 1}, 1)
		if d.IsCUDA() {
			x.UpsampleNearest2d(16, 16).MaxPool2d([]int{3, 3}, []int{2, 2}, []int{1, 1})
			x.ReplicationPad2d(0, 1, 0, 1).UpsampleBilinear2d([]int{17, 17}, true)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("torch: no convolutions in %v on %v of this machine: %w", dtype, d, err)
	}
	return nil
}

// FastBFloat16 reports whether this machine's processor multiplies bfloat16 numbers faster than float32 ones: with AMX, if the system
// lets programs use it (Linux 5.16 or later) and ONEDNN_MAX_CPU_ISA does not forbid it.
// Those of AVX512-BF16 alone take longer: an Emerald Rapids makes 85 GFLOP/s of them per core and 170 of float32's, beside
// convolutions that save multiplications in float32 only.
func FastBFloat16() bool { return processor.AMX() }
