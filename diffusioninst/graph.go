package diffusioninst

import (
	"errors"
	"log/slog"
	"slices"
	"sync"

	"github.com/diffusioninst/go/torch"
)

// What is recorded of a model at most, for each worker.
const (
	graphInputs = 16      // padded sizes and numbers of views
	graphStates = 4       // numbers of proposals of each of these
	graphBytes  = 1 << 30 // of the inputs and results of all graphs
)

// graphs are the CUDA graphs of a model: a set for each worker of package torch, and so for each stream. The nil
// graphs record nothing.
type graphs struct {
	device torch.Device
	inputs int   // of a set at most
	limit  int64 // bytes of a set
	lock   sync.Mutex
	sets   map[int64]*graphSet // by the number of the stream
	failed sync.Once           // has been said
}

func newGraphs(device torch.Device) *graphs {
	return &graphs{device: device, inputs: graphInputs, limit: graphBytes, sets: map[int64]*graphSet{}}
}

// with calls f with the calling worker's set, while its own stream is the current one; without graphs with nil.
func (g *graphs) with(f func(*graphSet) error) error {
	if g == nil {
		return f(nil)
	}
	number, restore := g.device.OwnStream()
	defer restore()
	g.lock.Lock()
	set := g.sets[number]
	if set == nil {
		set = &graphSet{graphs: g}
		g.sets[number] = set
	}
	g.lock.Unlock()
	set.lock.Lock() // drop may be at it
	defer set.lock.Unlock()
	return f(set)
}

// drop frees what is not being used, and reports whether there was anything.
func (g *graphs) drop() bool {
	if g == nil {
		return false
	}
	g.lock.Lock()
	defer g.lock.Unlock()
	dropped := false
	for _, set := range g.sets {
		if set.lock.TryLock() {
			dropped = set.bytes() > 0 || dropped
			set.shrink(0, 0)
			set.lock.Unlock()
		}
	}
	return dropped
}

// say says once why something is not recorded.
func (g *graphs) say(part string, err error) {
	g.failed.Do(func() {
		slog.Warn("diffusioninst: CUDA graphs: the "+part+" is computed operator by operator; further ones that cannot be recorded are not named", "error", err)
	})
}

// A graphSet is what has been recorded in one stream. Graphs share memory: see torch.RecordGraph. The graph of a backbone comes
// before the graphs of the decoders that read its results, and in a pass they run in this order.
type graphSet struct {
	graphs *graphs
	lock   sync.Mutex    // held by the pass that uses it
	inputs []*inputGraph // the last used first
}

// An inputGraph is what is recorded for batches of one shape.
type inputGraph struct {
	shape    []int // (B,3,H,W)
	pyramid  graphPart
	levels   []*torch.Tensor // where decoders read the pyramid, if no graph computes it
	decoders []*decoderGraph // the last used first
}

// A decoderGraph is a pass through the decoder with states of one shape and type.
type decoderGraph struct {
	shape []int
	dtype torch.DType
	graphPart
}

// graphPart is a part of the network for inputs of one shape. It is computed operator by operator the first time, which
// prepares what libraries prepare once, and recorded the second.
type graphPart struct {
	graph   *torch.Graph
	warm    bool
	refused bool // it could not be recorded
}

// input returns what is recorded for batches of a shape.
func (g *graphSet) input(shape []int) *inputGraph {
	at := slices.IndexFunc(g.inputs, func(i *inputGraph) bool { return slices.Equal(i.shape, shape) })
	g.inputs = first(g.inputs, at, func() *inputGraph { return &inputGraph{shape: shape} })
	g.shrink(g.graphs.inputs, g.graphs.limit)
	return g.inputs[0]
}

// decoder returns what is recorded for states like x.
func (i *inputGraph) decoder(x *torch.Tensor) *decoderGraph {
	shape, dtype := x.Shape(), x.DType()
	at := slices.IndexFunc(i.decoders, func(d *decoderGraph) bool { return d.dtype == dtype && slices.Equal(d.shape, shape) })
	i.decoders = first(i.decoders, at, func() *decoderGraph { return &decoderGraph{shape: shape, dtype: dtype} })
	for len(i.decoders) > graphStates {
		last := len(i.decoders) - 1
		i.decoders[last].graph.Close()
		i.decoders = i.decoders[:last]
	}
	return i.decoders[0]
}

// first moves the element at an index to the front of a list, or puts a new one there if the index is negative.
func first[T any](list []T, at int, made func() T) []T {
	if at < 0 {
		return slices.Insert(list, 0, made())
	}
	e := list[at]
	return slices.Insert(slices.Delete(list, at, at+1), 0, e)
}

// run returns what a part's graph makes of inputs, and records it before if that has not been tried and the part is
// warm. It returns nil if there is no graph.
func (g *graphSet) run(s *torch.Scope, part string, r *graphPart, f func([]*torch.Tensor) ([]*torch.Tensor, error), inputs ...*torch.Tensor) []*torch.Tensor {
	if r.graph == nil && r.warm && !r.refused {
		graph, err := torch.RecordGraph(g.any(), inputs, f)
		if full := (*torch.Error)(nil); errors.As(err, &full) && errors.Is(err, torch.ErrOutOfMemory) {
			panic(full) // the graphs are dropped, and the views tried again
		}
		r.graph = graph
		if err == nil && !g.shrink(g.graphs.inputs, g.graphs.limit) {
			err = errors.New("its inputs and results take more memory than graphs may hold")
			graph.Close()
			r.graph = nil
		}
		if r.refused = err != nil; r.refused {
			g.graphs.say(part, err)
		}
	}
	if r.graph == nil {
		return nil
	}
	return r.graph.Run(s, inputs...)
}

// any returns one of the graphs, nil if there is none.
func (g *graphSet) any() *torch.Graph {
	for _, i := range g.inputs {
		for r := range i.all() {
			if r.graph != nil {
				return r.graph
			}
		}
	}
	return nil
}

// bytes returns what the graphs hold.
func (g *graphSet) bytes() int64 {
	var n int64
	for _, i := range g.inputs {
		n += i.bytes()
	}
	return n
}

// shrink forgets the inputs that were used longest ago until at most so many, and so many bytes, are left. It leaves the
// last used, unless none are to be left, and reports whether the rest fits.
func (g *graphSet) shrink(inputs int, bytes int64) bool {
	for n := len(g.inputs); n > inputs || n > 1 && g.bytes() > bytes; n = len(g.inputs) {
		g.inputs[n-1].close()
		g.inputs = g.inputs[:n-1]
	}
	return g.bytes() <= bytes
}

// all are the parts.
func (i *inputGraph) all() func(yield func(*graphPart) bool) {
	return func(yield func(*graphPart) bool) {
		if !yield(&i.pyramid) {
			return
		}
		for _, d := range i.decoders {
			if !yield(&d.graphPart) {
				return
			}
		}
	}
}

func (i *inputGraph) bytes() int64 {
	var n int64
	for r := range i.all() {
		if r.graph != nil {
			n += r.graph.Bytes()
		}
	}
	for _, l := range i.levels {
		n += int64(l.Elements() * l.DType().Size())
	}
	return n
}

func (i *inputGraph) close() {
	for r := range i.all() {
		r.graph.Close()
	}
	for _, l := range i.levels {
		l.Close()
	}
}
