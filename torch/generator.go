package torch

import (
	"runtime"

	"github.com/diffusioninst/go/internal/libtorch"
)

// A Generator is a seeded source of random numbers (LibTorch's Mersenne Twister).
// It draws on the CPU, so that a seed gives the same numbers on every device.
// One goroutine at a time may use it.
type Generator struct{ g libtorch.Generator }

// NewGenerator returns a generator with a seed.
func NewGenerator(seed uint64) *Generator {
	g := &Generator{libtorch.NewGenerator(seed)}
	runtime.AddCleanup(g, libtorch.FreeGenerator, g.g)
	return g
}

// handle panics for a generator that NewGenerator has not made.
func (g *Generator) handle(op string) libtorch.Generator {
	if g == nil || g.g == nil {
		fail(op, "the generator is nil or was not made by NewGenerator")
	}
	return g.g
}

// State returns the generator's state, to be given to SetState later.
func (g *Generator) State() []byte {
	h, e := libtorch.GeneratorState(g.handle("generator_state"))
	check("generator_state", e)
	t := (*Scope)(nil).own(h)
	defer t.Close()
	return t.Bytes()
}

// SetState puts the generator into a state that State returned.
func (g *Generator) SetState(state []byte) {
	t := From[uint8](nil, state)
	defer t.Close()
	check("generator_set_state", libtorch.SetGeneratorState(g.handle("generator_set_state"), t.handle()), t)
	runtime.KeepAlive(g)
}

func (g *Generator) drawn(s *Scope, op string, h libtorch.Handle, e *libtorch.Error) *Tensor {
	runtime.KeepAlive(g)
	check(op, e)
	return s.own(h)
}

// Randn draws from the normal distribution N(0,1), on the CPU.
func (s *Scope) Randn(g *Generator, dtype DType, shape ...int) *Tensor {
	h, e := libtorch.Randn(g.handle("randn"), shape, dtype.number())
	return g.drawn(s, "randn", h, e)
}

// Rand draws from the uniform distribution on [0,1), on the CPU.
func (s *Scope) Rand(g *Generator, dtype DType, shape ...int) *Tensor {
	h, e := libtorch.Rand(g.handle("rand"), shape, dtype.number())
	return g.drawn(s, "rand", h, e)
}

// Randint draws int64 values from low … high−1, on the CPU.
func (s *Scope) Randint(g *Generator, low, high int64, shape ...int) *Tensor {
	h, e := libtorch.Randint(g.handle("randint"), low, high, shape)
	return g.drawn(s, "randint", h, e)
}

// Randperm draws a permutation (int64) of 0 … n−1, on the CPU.
func (s *Scope) Randperm(g *Generator, n int) *Tensor {
	h, e := libtorch.Randperm(g.handle("randperm"), n)
	return g.drawn(s, "randperm", h, e)
}

// Multinomial draws n different indices (int64) with probabilities in proportion to the
// vector weights, which must be on the CPU.
func (s *Scope) Multinomial(g *Generator, weights *Tensor, n int) *Tensor {
	h, e := libtorch.Multinomial(g.handle("multinomial"), weights.handle(), n)
	runtime.KeepAlive(weights)
	return g.drawn(s, "multinomial", h, e)
}
