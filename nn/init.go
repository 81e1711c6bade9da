package nn

import (
	"hash/fnv"
	"math"

	"github.com/diffusioninst/go/torch"
)

// An Init returns the first values of a parameter of a shape, in float32 on the CPU.
type Init func(s *torch.Scope, g *torch.Generator, shape []int) *torch.Tensor

// Constant returns an Init with one value everywhere.
func Constant(value float64) Init {
	return func(s *torch.Scope, _ *torch.Generator, shape []int) *torch.Tensor {
		return s.Full(value, torch.F32(torch.CPU), shape...)
	}
}

// Normal returns an Init that draws from N(0, std²).
func Normal(std float64) Init {
	return func(s *torch.Scope, g *torch.Generator, shape []int) *torch.Tensor {
		return s.Randn(g, torch.Float32, shape...).MulScalar(std)
	}
}

// Uniform returns an Init that draws from the uniform distribution on ±bound.
func Uniform(bound float64) Init {
	return func(s *torch.Scope, g *torch.Generator, shape []int) *torch.Tensor {
		return s.Rand(g, torch.Float32, shape...).MulScalar(2 * bound).AddScalar(-bound)
	}
}

// fans returns the numbers of inputs and outputs of a weight (out, in, …).
func fans(shape []int) (in, out float64) {
	if len(shape) < 2 {
		return 1, 1
	}
	area := 1.0
	for _, d := range shape[2:] {
		area *= float64(d)
	}
	return float64(shape[1]) * area, float64(shape[0]) * area
}

// XavierUniform draws weights that keep the variance of signals and gradients (Glorot, Bengio 2010).
func XavierUniform(s *torch.Scope, g *torch.Generator, shape []int) *torch.Tensor {
	in, out := fans(shape)
	return Uniform(math.Sqrt(6/(in+out)))(s, g, shape)
}

// KaimingNormal draws weights that keep the variance through ReLU, by the number of outputs (He et al. 2015).
func KaimingNormal(s *torch.Scope, g *torch.Generator, shape []int) *torch.Tensor {
	_, out := fans(shape)
	return Normal(math.Sqrt(2/out))(s, g, shape)
}

// CaffeXavier draws weights that keep the variance of signals, by the number of inputs, as
// Detectron2 initialises feature pyramids.
func CaffeXavier(s *torch.Scope, g *torch.Generator, shape []int) *torch.Tensor {
	in, _ := fans(shape)
	return Uniform(math.Sqrt(3/in))(s, g, shape)
}

// KaimingUniform draws weights as PyTorch does by default for convolutions and linear layers.
func KaimingUniform(s *torch.Scope, g *torch.Generator, shape []int) *torch.Tensor {
	in, _ := fans(shape)
	return Uniform(1/math.Sqrt(in))(s, g, shape)
}

// seeded is a Source that draws every parameter from a seed and its name, so that
// the values do not depend on the order in which modules are built.
type seeded uint64

// FromSeed returns a Source of parameters that are initialised at random from a seed.
func FromSeed(seed uint64) Source { return seeded(seed) }

func (seed seeded) Parameter(s *torch.Scope, name string, shape []int, init Init) (*torch.Tensor, error) {
	h := fnv.New64a()
	h.Write([]byte(name))
	return init(s, torch.NewGenerator(uint64(seed)^h.Sum64()), shape), nil
}

func (seeded) Names() []string { return nil }
