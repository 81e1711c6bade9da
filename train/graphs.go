package train

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/diffusioninst/go/backbone"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// graphShapes is for how many shapes of batches a trainer records graphs. Others are computed operator by operator.
const graphShapes = 4

// graphs are the CUDA graphs of a trainer, of what comes before the matching and of its backward pass: their shapes are those of
// the batch alone. The nil graphs record nothing.
type graphs struct {
	device  torch.Device
	stream  int64 // in which they were recorded
	shapes  []*shapeGraph
	fixed   []int64              // changes of the tensors that norms which do not learn are folded from
	lent    *torch.GradientGraph // whose memory parameters have as their gradients
	refused bool                 // nothing is recorded any more
}

// shapeGraph is what is recorded for batches of one shape. The first is computed operator by operator, which prepares what
// libraries prepare once, the second recorded.
type shapeGraph struct {
	shape   []int                // (B,3,H,W)
	warm    bool                 // the first is through
	graph   *torch.GradientGraph // nil before the second
	follows map[*nn.Norm]int64   // how often norms follow the statistics of a batch
}

// A cut is where a pass that is recorded, or will be, ends its first part: the rest begins with leaves, whose gradients lead back.
type cut struct {
	of      *shapeGraph
	results []*torch.Tensor // of operators; nil if a graph computed the leaves
	leaves  []*torch.Tensor
}

// newGraphs returns the graphs that a trainer begins with, or why there can be none.
func (t *Trainer) newGraphs() (*graphs, error) {
	o := t.options
	switch {
	case !o.Graphs:
		return nil, nil
	case !t.device.IsCUDA():
		return nil, fmt.Errorf("train: options: graphs on %v: they are for GPUs", t.device)
	case !torch.HasGraphs():
		return nil, fmt.Errorf("train: options: graphs on %v: LibTorch %s cannot record them, 2.1 and later can", t.device, torch.Version())
	case o.Eager:
		return nil, errors.New("train: options: graphs of a network that computes operator by operator (Eager)")
	case o.Processes != nil:
		return nil, errors.New("train: options: graphs with several processes, whose gradients are added up while they are computed")
	}
	g := &graphs{device: t.device}
	if _, draws := t.network.Backbone.(backbone.Stochastic); draws {
		g.refuse(errors.New("the host draws the backbone's stochastic depth"))
	}
	return g, nil
}

// refuse records nothing from now on, and says so once.
func (g *graphs) refuse(err error) {
	g.refused = true
	slog.Warn("train: CUDA graphs: steps are computed operator by operator", "error", err)
}

// enter makes the calling worker's own stream the current one until restore is called; a graph cannot be recorded in the default one.
func (g *graphs) enter() (restore func()) {
	if g == nil {
		return func() {}
	}
	stream, restore := g.device.OwnStream()
	switch {
	case g.stream == 0:
		g.stream = stream
	case stream != g.stream && !g.refused:
		g.drop()
		g.refuse(errors.New("the program has several workers (torch.SetWorkers), each with a stream of its own"))
	}
	return restore
}

// drop frees what has been recorded.
func (g *graphs) drop() {
	if g == nil {
		return
	}
	for _, s := range g.shapes {
		s.graph.Close()
	}
	g.shapes, g.lent = nil, nil
}

// compute returns what f makes of inputs, from a graph if there is one or can be.
func (g *graphs) compute(p *pass, f func([]*torch.Tensor) ([]*torch.Tensor, error), inputs ...*torch.Tensor) ([]*torch.Tensor, error) {
	if g == nil || g.refused {
		return f(inputs)
	}
	s := g.of(p.replica.store, inputs[0])
	if s != nil && s.graph == nil && s.warm {
		err := g.record(s, p.replica.store, inputs, f)
		if errors.Is(err, torch.ErrOutOfMemory) {
			return nil, err
		}
		if err != nil {
			g.drop()
			g.refuse(err)
			s = nil
		}
	}
	if s == nil {
		return f(inputs)
	}
	p.cut = &cut{of: s}
	if s.graph != nil {
		p.cut.leaves = g.run(s, p.scope, inputs)
		return p.cut.leaves, nil
	}
	out, err := f(inputs)
	if err != nil {
		return nil, err
	}
	p.cut.results = out
	for _, r := range out {
		leaf := r
		if r.RequiresGrad() {
			leaf = r.Detach().SetRequiresGrad(true)
		}
		p.cut.leaves = append(p.cut.leaves, leaf)
	}
	return p.cut.leaves, nil
}

// of returns what is or will be recorded for batches like x, nil if that is nothing.
func (g *graphs) of(store *nn.Store, x *torch.Tensor) *shapeGraph {
	if fixed := fixedChanges(store); !slices.Equal(fixed, g.fixed) { // what is made of them lies elsewhere now, or will
		g.drop()
		g.fixed = fixed
	}
	shape := x.Shape()
	if i := slices.IndexFunc(g.shapes, func(s *shapeGraph) bool { return slices.Equal(s.shape, shape) }); i >= 0 {
		return g.shapes[i]
	}
	if len(g.shapes) == graphShapes {
		return nil
	}
	g.shapes = append(g.shapes, &shapeGraph{shape: shape})
	return g.shapes[len(g.shapes)-1]
}

// record records f for inputs like these. Recording computes nothing: statistics stay as they are.
func (g *graphs) record(s *shapeGraph, store *nn.Store, inputs []*torch.Tensor, f func([]*torch.Tensor) ([]*torch.Tensor, error)) error {
	var beside *torch.GradientGraph
	for _, other := range g.shapes {
		if other.graph != nil {
			beside = other.graph
		}
	}
	before := map[*nn.Norm]int64{}
	for _, n := range store.Norms() {
		before[n] = n.Batches
	}
	var err error
	s.graph, err = torch.RecordGradients(beside, inputs, learners(store), f)
	s.follows = map[*nn.Norm]int64{}
	for n, was := range before {
		if n.Batches > was {
			s.follows[n] = n.Batches - was
			n.Batches = was
		}
	}
	return err
}

// run computes what has been recorded of inputs.
func (g *graphs) run(s *shapeGraph, scope *torch.Scope, inputs []*torch.Tensor) []*torch.Tensor {
	if g.lent != nil {
		g.lent.OwnGrads()
		g.lent = nil
	}
	for n, times := range s.follows {
		n.Followed(times)
	}
	return s.graph.Run(scope, inputs...)
}

// backward adds to the parameters' gradients what those of a pass's leaves make of them.
func (g *graphs) backward(p *pass) {
	switch c := p.cut; {
	case c == nil:
	case c.results == nil:
		if c.of.graph.Backward(c.leaves) {
			g.lent = c.of.graph
		}
	default:
		var results, given []*torch.Tensor
		for i, leaf := range c.leaves {
			if grad := leaf.Grad(p.scope); grad != nil {
				results, given = append(results, c.results[i]), append(given, grad)
			}
		}
		if len(results) > 0 {
			torch.AddGradients(results, given, learners(p.replica.store))
		}
		c.of.warm = true
	}
}

// learners are the parameters of a store that learn.
func learners(store *nn.Store) (out []*torch.Tensor) {
	for _, p := range store.Parameters() {
		if p.Tensor.RequiresGrad() {
			out = append(out, p.Tensor)
		}
	}
	return out
}

// fixedChanges counts the changes of the tensors that norms which do not learn are folded from.
func fixedChanges(store *nn.Store) []int64 {
	var out []int64
	for _, n := range store.Norms() {
		if n.Training && n.Kind == nn.BatchNorm {
			continue
		}
		for _, t := range []*torch.Tensor{n.Weight, n.Bias, n.Mean, n.Variance} {
			out = append(out, t.Changes())
		}
	}
	return out
}
