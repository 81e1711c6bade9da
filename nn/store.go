package nn

import (
	"errors"
	"fmt"
	"slices"

	"github.com/diffusioninst/go/internal/nilcheck"
	"github.com/diffusioninst/go/torch"
)

// A Source gives parameters their values.
type Source interface {
	// Parameter returns the values of a parameter as a tensor on the CPU that
	// belongs to s, or nil where the source does not have it. init says how the
	// parameter starts when it is drawn.
	Parameter(s *torch.Scope, name string, shape []int, init Init) (*torch.Tensor, error)
	// Names lists what the source has, for the report of what nobody asked for;
	// nil where it makes what it is asked for.
	Names() []string
}

// StoreOptions are the settings of NewStore: where and for what parameters are made.
type StoreOptions struct {
	Device torch.Device
	DType  torch.DType // of parameters; float32 if unset
	// Compute is the type in which convolutions and linear maps multiply, if it is not the
	// parameters': BFloat16. Results of convolutions stay in it, sums and norms are made in the
	// parameters' type. For inference weights are stored in it, cast once; see Path.Exact.
	Compute torch.DType
	// Inference makes parameters that no gradient will ever flow to: batch norms
	// are folded into the convolutions before them, whose parameters they replace.
	Inference bool
	// Int8 makes convolutions for Inference on the CPU that are neither Path.Exact nor Eager multiply 8-bit numbers, in the ranges that it
	// has for them; see torch.HasInt8. One that it lacks is an error, as is one that it has for no convolution.
	Int8 Calibration
	// Calibrator, if not nil, notes the ranges for Int8 while the convolutions compute as without it.
	Calibrator *Calibrator
	// Eager makes modules work operator by operator and in the memory order of PyTorch's:
	// nothing is folded or fused that changes how results are rounded. It is slower, and
	// for comparing with an implementation in PyTorch number by number.
	Eager bool
}

// A Store owns the parameters and buffers of a model. It must be made and used
// inside torch.Do.
type Store struct {
	source   Source
	options  StoreOptions
	list     []*Parameter
	norms    []*Norm
	byName   map[string]*Parameter
	folded   []*torch.Tensor
	prepared []*torch.Tensor // what weights are transformed to beside themselves
	fixed    []*torch.Tensor // of Path.Constant
	rounded  []*int8Conv     // in place of folded weights
	asked    []string        // paths of Int8
	problem  LoadError
}

var errNoSource = errors.New("the Source of the parameters is nil")

const notMade = "the Store is nil or was not made by NewStore"

// A Parameter is a named tensor of a store.
type Parameter struct {
	Name   string
	Tensor *torch.Tensor
	Buffer bool // not trained, such as a running mean
}

// NewStore returns a store without parameters; modules add theirs when they are built. A nil
// source has no values, which Err says.
func NewStore(source Source, options StoreOptions) *Store {
	if options.DType == 0 {
		options.DType = torch.Float32
	}
	if options.Compute == 0 {
		options.Compute = options.DType
	}
	st := &Store{source: source, options: options, byName: map[string]*Parameter{}}
	if nilcheck.Is(source) {
		st.source, st.problem.Err = fromParameters{}, errNoSource
	}
	return st
}

// Root returns the path without a prefix.
func (st *Store) Root() Path { return Path{store: st} }

// Parameters returns parameters and buffers in the order in which they were made, without
// those that were folded into others.
func (st *Store) Parameters() []*Parameter { return st.list }

// Norms returns the batch norms in the order in which they were made, for training to set
// which of them learn; none in a store for inference, which folds them into convolutions.
func (st *Store) Norms() []*Norm { return st.norms }

// Bytes returns the number of bytes that parameters, buffers, folded weights and what is prepared from them
// for the processor take.
func (st *Store) Bytes() int64 {
	var n int64
	for _, t := range append(st.tensors(), st.prepared...) {
		n += int64(t.Elements()) * int64(t.DType().Size())
	}
	for _, c := range st.rounded {
		n += c.bytes
	}
	return n
}

// Elements returns the number of numbers in parameters, buffers and folded weights.
func (st *Store) Elements() int64 {
	var n int64
	for _, t := range st.tensors() {
		n += int64(t.Elements())
	}
	for _, c := range st.rounded {
		n += c.elements
	}
	return n
}

// Close frees all parameters and constants.
func (st *Store) Close() {
	if st == nil {
		return
	}
	for _, t := range slices.Concat(st.tensors(), st.prepared, st.fixed) {
		t.Close()
	}
	for _, n := range st.norms {
		n.fixed.forget()
	}
	for _, c := range st.rounded {
		c.conv.Close()
	}
	st.list, st.folded, st.prepared, st.fixed, st.rounded = nil, nil, nil, nil, nil
}

func (st *Store) tensors() []*torch.Tensor {
	out := append([]*torch.Tensor(nil), st.folded...)
	for _, p := range st.list {
		out = append(out, p.Tensor)
	}
	return out
}

// Err returns one *LoadError of all parameters that were missing in the source, that no
// module asked for, or that had another shape; nil if everything fitted.
func (st *Store) Err() error {
	if st == nil || st.source == nil {
		return errors.New("nn: " + notMade)
	}
	if st.problem.Err != nil {
		return &LoadError{Err: st.problem.Err} // what is missing follows from it
	}
	e := st.problem
	for _, name := range st.source.Names() {
		if _, asked := st.byName[name]; !asked {
			e.Unexpected = append(e.Unexpected, name)
		}
	}
	for path := range st.options.Int8 {
		if !slices.Contains(st.asked, path) {
			e.Unexpected = append(e.Unexpected, path+" (an int8 range)")
		}
	}
	return e.orNil(st.source)
}

// get returns the parameter name. A problem is noted for Err and leaves zeros, so
// that building continues and all problems are found.
func (st *Store) get(name string, shape []int, init Init, buffer bool) *torch.Tensor {
	if st.source == nil {
		panic("nn: " + notMade)
	}
	if old, ok := st.byName[name]; ok {
		panic(fmt.Sprintf("nn: parameter %s is made twice (first as %v)", name, old.Tensor))
	}
	s := torch.NewScope()
	defer s.Close()
	values, err := st.source.Parameter(s, name, shape, init)
	switch {
	case err != nil:
		st.problem.note(name, shape, err)
	case values == nil:
		st.problem.Missing = append(st.problem.Missing, name)
	}
	if values == nil || err != nil {
		values = s.Zeros(torch.F32(torch.CPU), shape...)
	}
	t := values.ToDType(st.options.DType).To(st.options.Device).Contiguous()
	if !buffer && !st.options.Inference {
		t.SetRequiresGrad(true)
	}
	p := &Parameter{Name: name, Tensor: t.Keep(), Buffer: buffer}
	st.byName[name] = p
	st.list = append(st.list, p)
	return p.Tensor
}

// lower replaces parameters, some of which may be nil, by their values in a type, for inference.
func (st *Store) lower(to torch.DType, parameters ...**torch.Tensor) {
	if !st.options.Inference || to == st.options.DType {
		return
	}
	s := torch.NewScope()
	defer s.Close()
	for _, p := range parameters {
		if *p != nil {
			low := s.Adopt(*p).ToDType(to)
			st.fold([]*torch.Tensor{*p}, low)
			*p = low
		}
	}
}

// fold replaces parameters by tensors computed from them.
func (st *Store) fold(gone []*torch.Tensor, made ...*torch.Tensor) {
	keep := st.list[:0]
	for _, p := range st.list {
		dropped := false
		for _, g := range gone {
			dropped = dropped || g == p.Tensor
		}
		if !dropped {
			keep = append(keep, p)
		}
	}
	st.list = keep
	st.folded = slices.DeleteFunc(st.folded, func(t *torch.Tensor) bool { return slices.Contains(gone, t) })
	for _, g := range gone {
		g.Close()
	}
	for _, m := range made {
		st.folded = append(st.folded, m.Keep())
	}
}
