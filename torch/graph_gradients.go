package torch

import (
	"slices"

	"github.com/diffusioninst/go/internal/libtorch"
)

// A GradientGraph is a Graph whose results lead gradients back to leaves: what computes these is another Graph, recorded with it,
// as PyTorch's make_graphed_callables has it. In between, what it is for is computed operator by operator.
type GradientGraph struct {
	forward, backward *Graph    // backward is nil if no result depends on a leaf
	learns            []bool    // which results do
	leaves            []*Tensor // that have gradients
	reached           [][]bool  // which leaves each result depends on
}

// RecordGradients records what f computes from inputs, as RecordGraph does, and the gradients of its results with respect to
// leaves, such as parameters. It is to be called in WithGrad, after f and AddGradients have computed both once as they are.
// The leaves must outlive the graph, and keep their memory.
func RecordGradients(beside *GradientGraph, inputs, leaves []*Tensor, f func(inputs []*Tensor) ([]*Tensor, error)) (*GradientGraph, error) {
	g, whole := &GradientGraph{}, false
	defer func() {
		if !whole {
			g.Close()
		}
	}()
	var near *Graph
	if beside != nil {
		near = beside.forward
	}
	var err error
	if g.forward, err = RecordGraph(near, inputs, f); err != nil {
		return nil, err
	}
	if err = caught(func() error { return g.recordBackward(leaves) }); err != nil {
		return nil, err
	}
	whole = true
	return g, nil
}

func (g *GradientGraph) recordBackward(leaves []*Tensor) (err error) {
	s := NewScope()
	defer s.Close()
	var results, given []*Tensor
	for i, t := range g.forward.outputs {
		g.learns = append(g.learns, t.RequiresGrad())
		if !g.learns[i] {
			continue
		}
		results, given = append(results, s.Adopt(t)), append(given, s.Adopt(t).Detach())
	}
	var reached [][]bool // of all leaves
	for _, r := range results {
		of, e := libtorch.Reached(r.handle(), handles(leaves))
		check("gradients", e, r)
		reached = append(reached, of)
	}
	if len(results) > 0 {
		g.backward, err = RecordGraph(g.forward, given, func(in []*Tensor) (out []*Tensor, _ error) {
			out, g.leaves = gradients(in[0].Scope(), results, in, leaves)
			return out, nil
		})
	}
	for _, of := range reached {
		own := make([]bool, len(g.leaves))
		for i, leaf := range g.leaves {
			own[i] = of[slices.Index(leaves, leaf)]
		}
		g.reached = append(g.reached, own)
	}
	for i, t := range g.forward.outputs { // what led gradients back is recorded, or goes with the error
		g.forward.outputs[i] = (*Scope)(nil).Adopt(s.Adopt(t).Detach())
		t.Close()
	}
	return err
}

// gradients returns those that leaves have, and which of them do.
func gradients(s *Scope, results, given, leaves []*Tensor) (found, of []*Tensor) {
	all, e := libtorch.Gradients(handles(results), handles(given), handles(leaves))
	check("gradients", e, results...)
	keepAlive(given)
	keepAlive(leaves)
	for i, h := range all {
		if h != nil {
			found, of = append(found, s.own(h)), append(of, leaves[i])
		}
	}
	return found, of
}

// AddGradients adds to the gradients of leaves what results with gradients of their own, given, make of them.
func AddGradients(results, given, leaves []*Tensor) {
	s := NewScope()
	defer s.Close()
	found, of := gradients(s, results, given, leaves)
	accumulate(of, found)
}

func accumulate(leaves, gradients []*Tensor) {
	check("gradients", libtorch.Accumulate(handles(leaves), handles(gradients)))
	keepAlive(leaves)
	keepAlive(gradients)
}

// Run is Graph.Run. Results that depend on leaves are themselves leaves, which gather gradients for Backward.
func (g *GradientGraph) Run(s *Scope, inputs ...*Tensor) []*Tensor {
	if g == nil {
		fail("graph", "the graph is nil")
	}
	out := g.forward.Run(s, inputs...)
	for i, t := range out {
		if g.learns[i] {
			out[i] = t.Detach().SetRequiresGrad(true)
		}
	}
	return out
}

// Backward adds to the gradients of the leaves what those of Run's results make of them; of a leaf that only results without a
// gradient depend on, nothing. Nothing may have run in between that
// shares the graph's memory. Where a leaf had no gradient, its gradient is then the graph's own memory, which any run of a graph
// that shares it overwrites, unless OwnGrads comes before; lent reports whether there is such a leaf.
func (g *GradientGraph) Backward(results []*Tensor) (lent bool) {
	if g.backward == nil {
		return false
	}
	s := NewScope()
	defer s.Close()
	var given []*Tensor
	learn := make([]bool, len(g.leaves))
	for i, t := range results {
		if !g.learns[i] {
			continue
		}
		grad := t.Grad(s)
		if grad == nil {
			grad = s.Zeros(Options{DType: t.DType(), Device: t.Device()}, t.Shape()...)
		} else {
			for k, reached := range g.reached[len(given)] {
				learn[k] = learn[k] || reached
			}
		}
		given = append(given, grad)
	}
	var leaves, gradients []*Tensor
	for i, gradient := range g.backward.Run(s, given...) {
		if learn[i] {
			leaves, gradients = append(leaves, g.leaves[i]), append(gradients, gradient)
			lent = lent || g.leaves[i].Grad(s) == nil
		}
	}
	accumulate(leaves, gradients)
	return lent
}

// OwnGrads makes the gradients of the leaves copies that no graph overwrites.
func (g *GradientGraph) OwnGrads() {
	check("gradients", libtorch.OwnGrads(handles(g.leaves)))
	keepAlive(g.leaves)
}

// Bytes returns the memory of inputs, results and gradients, which the graph holds.
func (g *GradientGraph) Bytes() int64 {
	n := g.forward.Bytes()
	if g.backward != nil {
		n += g.backward.Bytes()
	}
	return n
}

// Close frees the graph. Nobody may be using it. Closing twice does nothing.
func (g *GradientGraph) Close() {
	if g == nil {
		return
	}
	g.backward.Close()
	g.forward.Close()
	*g = GradientGraph{}
}
