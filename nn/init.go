package nn

import (
	"hash/fnv"
	"math"

	"github.com/diffusioninst/go/torch"
)

// Init draws the first values of a parameter, float32 on the CPU.
type Init func(s *torch.Scope, g *torch.Generator, shape []int) *torch.Tensor

// Constant starts with one value.
func Constant(value float64) Init {
	return func(s *torch.Scope, _ *torch.Generator, shape []int) *torch.Tensor {
		return s.Full(value, torch.F32(torch.CPU), shape...)
	}
}

// Normal starts with N(0, std²).
func Normal(std float64) Init {
	return func(s *torch.Scope, g *torch.Generator, shape []int) *torch.Tensor {
		return s.Randn(g, torch.Float32, shape...).MulScalar(std)
	}
}

// Uniform starts with the uniform distribution on ±bound.
func Uniform(bound float64) Init {
	return func(s *torch.Scope, g *torch.Generator, shape []int) *torch.Tensor {
		return s.Rand(g, torch.Float32, shape...).MulScalar(2 * bound).AddScalar(-bound)
	}
}

// fans are the numbers of inputs and outputs of a weight (out, in, …).
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

// XavierUniform keeps the variance of signals and gradients (Glorot, Bengio 2010).
func XavierUniform(s *torch.Scope, g *torch.Generator, shape []int) *torch.Tensor {
	in, out := fans(shape)
	return Uniform(math.Sqrt(6/(in+out)))(s, g, shape)
}

// KaimingNormal keeps the variance through ReLU, by the number of outputs (He et al. 2015).
func KaimingNormal(s *torch.Scope, g *torch.Generator, shape []int) *torch.Tensor {
	_, out := fans(shape)
	return Normal(math.Sqrt(2/out))(s, g, shape)
}

// CaffeXavier keeps the variance of signals, by the number of inputs: Detectron2's
// start of feature pyramids.
func CaffeXavier(s *torch.Scope, g *torch.Generator, shape []int) *torch.Tensor {
	in, _ := fans(shape)
	return Uniform(math.Sqrt(3/in))(s, g, shape)
}

// KaimingUniform is PyTorch's default of convolutions and linear layers.
func KaimingUniform(s *torch.Scope, g *torch.Generator, shape []int) *torch.Tensor {
	in, _ := fans(shape)
	return Uniform(1/math.Sqrt(in))(s, g, shape)
}

// seeded is a Source that draws every parameter from a seed and its name, so that
// the values do not depend on the order in which modules are built.
type seeded uint64

// FromSeed is a Source of freshly initialised parameters.
func FromSeed(seed uint64) Source { return seeded(seed) }

func (seed seeded) Parameter(s *torch.Scope, name string, shape []int, init Init) (*torch.Tensor, error) {
	h := fnv.New64a()
	h.Write([]byte(name))
	return init(s, torch.NewGenerator(uint64(seed)^h.Sum64()), shape), nil
}

func (seeded) Names() []string { return nil }
