package nn

import (
	"fmt"
	"math"

	"github.com/diffusioninst/go/torch"
)

// Optimizer moves parameters along their gradients. It must be used inside
// torch.Do, outside of torch.WithGrad, by one goroutine at a time.
type Optimizer interface {
	// Step moves every parameter that has a gradient, at a learning rate. Gradients stay.
	Step(rate float64)
	// State returns all that the optimiser keeps from step to step, as tensors that
	// belong to it. Their names are prefixed with the optimiser's.
	State() []*Parameter
	// Restore takes the state from a source. Everything that the source lacks or
	// has in another shape is reported in one *LoadError, and the state is then unchanged.
	Restore(source Source) error
	// Close frees the state.
	Close()
}

// A ParamGroup is a set of parameters with the same learning rate and weight decay.
type ParamGroup struct {
	Parameters []*Parameter
	Rate       float64 // multiplies the learning rate; 0 means 1, and it is never negative
	Decay      float64 // weight decay per step, in units of the learning rate
}

// ClearGrads removes the gradients of parameters.
func ClearGrads(parameters []*Parameter) {
	for _, p := range parameters {
		p.Tensor.ClearGrad()
	}
}

// ScaleGrads multiplies the gradients of parameters.
func ScaleGrads(parameters []*Parameter, factor float64) {
	torch.ScaleGrads(leaves(parameters), factor)
}

// ClipNorm scales the gradients of all parameters by one factor so that their L2
// norm, taken over the whole model, is at most limit (Pascanu et al. 2013). It
// returns the norm before. A limit of 0 only measures; a norm that is not finite
// leaves the gradients as they are.
func ClipNorm(parameters []*Parameter, limit float64) float64 {
	return torch.ClipGradNorm(leaves(parameters), limit)
}

func leaves(parameters []*Parameter) []*torch.Tensor {
	out := make([]*torch.Tensor, len(parameters))
	for i, p := range parameters {
		out[i] = p.Tensor
	}
	return out
}

// memory is the state of an optimiser: some tensors of a parameter's shape for
// each parameter, and how many steps each has made.
type memory struct {
	prefix string
	groups []ParamGroup
	kinds  []string
	slots  [][]*torch.Tensor // by parameter, then by kind
	steps  []int64
	count  *torch.Tensor // steps as a tensor; made by State
}

// check panics with a *torch.Error, which torch.Do returns, unless a setting is possible.
func check(optimizer string, ok bool, format string, args ...any) {
	if !ok {
		panic(&torch.Error{Op: optimizer, Message: fmt.Sprintf(format, args...)})
	}
}

// newMemory returns zeros for the parameters of groups that require gradients.
func newMemory(prefix string, groups []ParamGroup, kinds ...string) *memory {
	for _, g := range groups {
		check(prefix, g.Rate >= 0 && !math.IsInf(g.Rate, 0), "the rate of a group is %v: want a number of at least 0", g.Rate)
		check(prefix, !math.IsNaN(g.Decay) && !math.IsInf(g.Decay, 0), "the decay of a group is %v", g.Decay)
	}
	s := torch.NewScope()
	defer s.Close()
	m := &memory{prefix: prefix, kinds: kinds}
	for _, g := range groups {
		var trained []*Parameter
		for _, p := range g.Parameters {
			if p.Buffer || !p.Tensor.RequiresGrad() {
				continue
			}
			trained = append(trained, p)
			var slot []*torch.Tensor
			for range kinds {
				slot = append(slot, s.Adopt(p.Tensor).Detach().ZerosLike().Keep())
			}
			m.slots = append(m.slots, slot)
		}
		g.Parameters = trained
		if g.Rate == 0 {
			g.Rate = 1
		}
		m.groups = append(m.groups, g)
	}
	m.steps = make([]int64, len(m.slots))
	return m
}

// each visits every parameter that has a gradient. p, grad and slot may be changed in
// place; step counts from 1.
func (m *memory) each(f func(g ParamGroup, p, grad *torch.Tensor, slot []*torch.Tensor, step int64)) {
	s := torch.NewScope()
	defer s.Close()
	i := -1
	for _, g := range m.groups {
		for _, p := range g.Parameters {
			i++
			mark := s.Mark()
			grad := p.Tensor.Grad(s)
			if grad == nil {
				continue
			}
			m.steps[i]++
			f(g, p.Tensor, grad, m.slots[i], m.steps[i])
			s.Release(mark)
		}
	}
}

func (m *memory) State() []*Parameter {
	m.count.Close()
	m.count = torch.From(nil, m.steps)
	out := []*Parameter{{Name: m.prefix + ".steps", Tensor: m.count, Buffer: true}}
	i := 0
	for _, g := range m.groups {
		for _, p := range g.Parameters {
			for k, kind := range m.kinds {
				out = append(out, &Parameter{Name: fmt.Sprintf("%s.%s.%s", m.prefix, kind, p.Name), Tensor: m.slots[i][k], Buffer: true})
			}
			i++
		}
	}
	return out
}

func (m *memory) Restore(source Source) error {
	s := torch.NewScope()
	defer s.Close()
	state := m.State()
	found, err := take(s, source, state)
	if err != nil {
		return err
	}
	for i, p := range state {
		p.Tensor.CopyInPlace(found[i])
	}
	m.steps = torch.Values[int64](m.count)
	return nil
}

// take reads the values of every tensor in list from a source; they belong to s.
func take(s *torch.Scope, source Source, list []*Parameter) ([]*torch.Tensor, error) {
	var problem LoadError
	out := make([]*torch.Tensor, len(list))
	for i, p := range list {
		values, err := source.Parameter(s, p.Name, p.Tensor.Shape(), Constant(0))
		switch {
		case err != nil:
			problem.note(p.Name, p.Tensor.Shape(), err)
		case values == nil:
			problem.Missing = append(problem.Missing, p.Name)
		}
		out[i] = values
	}
	return out, problem.orNil(source)
}

func (m *memory) Close() {
	m.count.Close()
	for _, slot := range m.slots {
		for _, t := range slot {
			t.Close()
		}
	}
}
