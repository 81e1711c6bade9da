package torch

import (
	"math"

	"golang.org/x/sys/cpu"

	"github.com/diffusioninst/go/internal/libtorch"
)

// HasInt8 reports whether this machine multiplies 8-bit numbers four at a time and adds them up in 32 bits (VNNI), and LibTorch
// was built with oneDNN's quantized operators. Other processors' sums overflow 16 bits.
func HasInt8() bool { return cpu.X86.HasAVX512VNNI && libtorch.HasInt8() }

// An Int8Range is a range of numbers, which zero lies in, as 8 bits hold it: (q − Zero)·Step for q from 0 to 255.
type Int8Range struct {
	Step float64
	Zero int
}

// NewInt8Range returns the range from least to greatest, widened to hold zero, which then is exact.
func NewInt8Range(least, greatest float64) Int8Range {
	least, greatest = min(least, 0), max(greatest, 0)
	step := max((greatest-least)/255, 1e-12)
	return Int8Range{Step: step, Zero: int(math.Round(-least / step))}
}

// An Int8Convolution is a convolution whose weight is rounded to 8 bits, with one step for each of its output channels; sums have 32
// bits. It belongs to no Scope: Close frees it.
type Int8Convolution struct{ packed libtorch.Int8Convolution }

// NewInt8Convolution rounds the weight t (K,C,h,w), float32 on the CPU; bias (K), which stays float32, may be nil. If relu is set,
// max(0, ·) of the convolution is what it gives.
func (t *Tensor) NewInt8Convolution(bias *Tensor, stride, padding [2]int, relu bool) *Int8Convolution {
	if !HasInt8() {
		fail("int8_convolution", "it needs a processor with AVX512-VNNI, and a LibTorch with oneDNN's quantized operators")
	}
	packed, e := libtorch.Int8Pack(t.handle(), bias.optionalHandle(), stride, padding, relu)
	check("int8_convolution", e, t, bias)
	return &Int8Convolution{packed}
}

// Close frees the convolution, which no other goroutine may use any more.
func (c *Int8Convolution) Close() { c.packed.Free() }

// Forward returns the convolution of x (B,C,H,W), which is rounded to the range in, itself rounded to the range out, in channels-last
// float32. No gradients flow.
func (c *Int8Convolution) Forward(x *Tensor, in, out Int8Range) *Tensor {
	return c.forward(x, nil, in, out, false)
}

// ForwardKept is Forward for a result that nothing but the Forward, ForwardKept or ForwardAdd of another Int8Convolution takes, whose
// range in is this one's range out: it stays in 8 bits.
func (c *Int8Convolution) ForwardKept(x *Tensor, in, out Int8Range) *Tensor {
	return c.forward(x, nil, in, out, true)
}

// ForwardAdd returns max(0, Forward(x) + add), for a convolution without a ReLU of its own.
func (c *Int8Convolution) ForwardAdd(x, add *Tensor, in, out Int8Range) *Tensor {
	return c.forward(x, add, in, out, false)
}

func (c *Int8Convolution) forward(x, add *Tensor, in, out Int8Range, keep bool) *Tensor {
	h, e := c.packed.Convolve(x.handle(), add.optionalHandle(), libtorch.Int8Range(in), libtorch.Int8Range(out), keep)
	check("int8_convolution", e, x, add)
	return scopeOf(x, add).own(h)
}
