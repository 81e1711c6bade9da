package torch

import (
	"fmt"
	"slices"

	"github.com/diffusioninst/go/internal/libtorch"
)

// OwnStream makes the calling worker's own stream of a GPU the current one, so that its work overlaps that of
// other workers, until restore is called, in the same worker. It must be called inside Do. The stream waits for what the
// current one has been given, and that waits for the stream's work from restore on. number is a different one for each
// worker.
func (d Device) OwnStream() (number int64, restore func()) {
	own, before, e := libtorch.EnterStream(d.index())
	check("stream", e)
	return own, func() { check("stream", libtorch.LeaveStream(d.index(), own, before)) }
}

// HasGraphs reports whether this LibTorch can record a Graph: from 2.1 on, on machines with a GPU.
func HasGraphs() bool { return CUDADevices() > 0 && libtorch.HasGraphs() }

// A Graph is work on a GPU that was recorded once and is launched as a whole (a CUDA graph): the host spends one launch
// on it, instead of one per operator. It belongs to the stream that was current when it was recorded, and one caller
// at a time may use it.
type Graph struct {
	graph   *libtorch.Graph
	inputs  []*Tensor // where it reads
	outputs []*Tensor // where it writes
	bytes   int64
}

// RecordGraph records what f computes from inputs on a GPU, which is not done before Run. It is to be called with the
// worker's own stream as the current one, after f has run once as it is: what is prepared only once, such as the choice
// of a kernel, is not part of a graph. f gets copies of the inputs in a scope of its own, and must depend on nothing else
// that changes: what it computes on the host is computed now, and never again. Other tensors that it reads, such as
// parameters, must outlive the graph.
//
// Graphs of one stream share memory beside another one, if that is not nil: what Run returned is overwritten not only by
// the next Run of the same graph, but also by that of any graph that was recorded before it.
//
// An error is f's, or an *Error: f copies between the host and the GPU or waits for it, for example.
func RecordGraph(beside *Graph, inputs []*Tensor, f func(inputs []*Tensor) ([]*Tensor, error)) (*Graph, error) {
	g, whole := &Graph{}, false
	defer func() {
		if !whole {
			g.Close()
		}
	}()
	err := caught(func() error { return g.record(beside, inputs, f) })
	if whole = err == nil; !whole {
		return nil, err
	}
	return g, nil
}

// caught returns the *Error that f panics with as its error.
func caught(f func() error) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case *Error:
			err = r
		default:
			panic(r)
		}
	}()
	return f()
}

func (g *Graph) record(beside *Graph, inputs []*Tensor, f func(inputs []*Tensor) ([]*Tensor, error)) error {
	if len(inputs) == 0 {
		fail("graph", "there are no inputs")
	}
	s := NewScope()
	defer s.Close()
	given := make([]*Tensor, len(inputs))
	for i, t := range inputs {
		in := t.Clone().Keep()
		g.inputs, given[i] = append(g.inputs, in), s.Adopt(in)
	}
	var near *libtorch.Graph
	if beside != nil {
		near = beside.graph
	}
	var e *libtorch.Error
	g.graph, e = libtorch.BeginGraph(inputs[0].Device().index(), near)
	check("graph", e)
	ended := false
	defer func() {
		if !ended {
			g.graph.End() // the error or the panic that is on its way says more
		}
	}()
	out, err := f(given)
	if err != nil {
		return err
	}
	for _, t := range out {
		g.outputs = append(g.outputs, (*Scope)(nil).Adopt(t))
	}
	ended = true
	check("graph", g.graph.End())
	for _, t := range append(g.inputs, g.outputs...) {
		g.bytes += int64(t.Elements() * t.DType().Size())
	}
	return nil
}

// Run copies inputs, of the shapes and types of those that the graph was recorded with, to where it reads them, launches
// it, and returns its results. They belong to s, and lie where the next Run writes; see RecordGraph.
func (g *Graph) Run(s *Scope, inputs ...*Tensor) []*Tensor {
	if g == nil || g.graph == nil {
		fail("graph", "the graph is nil, was closed, or was not made by RecordGraph")
	}
	if len(inputs) != len(g.inputs) {
		fail("graph", fmt.Sprintf("%d inputs, %d were recorded", len(inputs), len(g.inputs)))
	}
	for i, t := range inputs {
		if in := g.inputs[i]; t.DType() != in.DType() || !slices.Equal(t.Shape(), in.Shape()) {
			fail("graph", fmt.Sprintf("input %d is %v, %v was recorded", i, t, in), t)
		}
		g.inputs[i].CopyInPlace(t)
	}
	check("graph", g.graph.Launch(), inputs...)
	out := make([]*Tensor, len(g.outputs))
	for i, t := range g.outputs {
		out[i] = s.Adopt(t)
	}
	return out
}

// Bytes returns the memory of the inputs and the results, which the graph holds. What lies in between is shared.
func (g *Graph) Bytes() int64 { return g.bytes }

// Close frees the graph. Nobody may be using it. Closing twice does nothing.
func (g *Graph) Close() {
	if g == nil {
		return
	}
	for _, t := range append(g.inputs, g.outputs...) {
		t.Close()
	}
	if g.graph != nil {
		g.graph.Free()
	}
	*g = Graph{}
}
