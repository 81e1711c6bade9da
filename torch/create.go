package torch

import "github.com/diffusioninst/go/internal/libtorch"

// Options are the element type and the device of a new tensor. The type must be set;
// the zero Device is the CPU.
type Options struct {
	DType  DType
	Device Device
}

// F32 returns the options of a float32 tensor on a device.
func F32(d Device) Options { return Options{Float32, d} }

// Empty returns a new tensor of undefined content.
func (s *Scope) Empty(o Options, shape ...int) *Tensor {
	h, e := libtorch.Empty(shape, o.DType.number(), o.Device.index())
	check("empty", e)
	return s.own(h)
}

// Zeros returns a new tensor of zeros.
func (s *Scope) Zeros(o Options, shape ...int) *Tensor { return s.Full(0, o, shape...) }

// Full returns a new tensor of one value.
func (s *Scope) Full(value float64, o Options, shape ...int) *Tensor {
	h, e := libtorch.Full(shape, value, o.DType.number(), o.Device.index())
	check("full", e)
	return s.own(h)
}

// Arange returns the vector 0, 1, … n−1.
func (s *Scope) Arange(n int, o Options) *Tensor {
	h, e := libtorch.Arange(0, float64(n), 1, o.DType.number(), o.Device.index())
	check("arange", e)
	return s.own(h)
}
