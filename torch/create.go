package torch

import "github.com/diffusioninst/go/internal/libtorch"

// Options are the element type and the device of a new tensor. The zero value
// would be uint8 on the CPU; F32 is the usual choice.
type Options struct {
	DType  DType
	Device Device
}

// F32 is float32 on a device.
func F32(d Device) Options { return Options{Float32, d} }

// Empty is a new tensor of undefined content.
func (s *Scope) Empty(o Options, shape ...int64) *Tensor {
	h, e := libtorch.Empty(shape, int(o.DType), o.Device.index())
	check("empty", e)
	return s.own(h)
}

// Zeros is a new tensor of zeros.
func (s *Scope) Zeros(o Options, shape ...int64) *Tensor { return s.Full(0, o, shape...) }

// Full is a new tensor of one value.
func (s *Scope) Full(value float64, o Options, shape ...int64) *Tensor {
	h, e := libtorch.Full(shape, value, int(o.DType), o.Device.index())
	check("full", e)
	return s.own(h)
}

// Arange is the vector 0, 1, … n−1.
func (s *Scope) Arange(n int64, o Options) *Tensor {
	h, e := libtorch.Arange(0, float64(n), 1, int(o.DType), o.Device.index())
	check("arange", e)
	return s.own(h)
}
