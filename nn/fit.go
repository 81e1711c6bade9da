package nn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/diffusioninst/go/internal/checkpoint"
	"github.com/diffusioninst/go/torch"
)

// A Fit is a Source of the parameters that a checkpoint has for a model, and of drawn
// values for the others. The checkpoint must be open while a Store is built from it.
type Fit struct {
	Path     string     // of the checkpoint, for String; "" if it has none
	Taken    []string   // parameters that come from the checkpoint
	Drawn    []string   // parameters that are drawn
	Reshaped []Mismatch // the drawn ones that the checkpoint has in another shape
	Broken   []error    // why drawn ones that the checkpoint has could not be read
	Unused   []string   // tensors of the checkpoint for which the model has no use
	// Sets are the sets of weights in the file, the one that was taken first; see
	// Checkpoint.Sets.
	Sets []WeightSet

	tensors map[string]*checkpoint.Tensor
	drawn   Source
}

// Fit finds the parameters of the model that build makes. The checkpoint may be of the
// same model, of one for other classes, or of an ImageNet backbone with the names of
// torchvision, Detectron2, Caffe2 (MSRA) or the official Swin Transformers: names are
// brought to Detectron2's, and a parameter takes the tensor of its own name or else of
// the longest suffix of it. What the checkpoint lacks, or has in another shape, is drawn
// from the seed as by FromSeed.
//
// A checkpoint that has nothing for the model, or fits it in two ways, is a *LoadError.
// Errors of build are returned as they are. Fit calls build inside torch.Do, with a
// Store for training that is freed afterwards.
func (c *Checkpoint) Fit(ctx context.Context, seed uint64, build func(Path) error) (*Fit, error) {
	if build == nil {
		return nil, errors.New("nn: Fit needs a function that builds the network")
	}
	if c == nil || c.model == nil {
		return nil, &LoadError{Err: errors.New("there is no open checkpoint")}
	}
	var a asked
	err := torch.Do(ctx, func(*torch.Scope) error {
		store := NewStore(&a, StoreOptions{})
		defer store.Close()
		return build(store.Root())
	})
	if err != nil {
		return nil, err
	}
	m, err := checkpoint.Match(c.model, a.list)
	if err != nil {
		return nil, &LoadError{Path: c.path, Err: err}
	}
	f := &Fit{Path: c.path, Sets: weightSets(m.From), tensors: m.Tensors, drawn: FromSeed(seed)}
	for _, p := range a.list {
		if m.Tensors[p.Name] != nil {
			f.Taken = append(f.Taken, p.Name)
			continue
		}
		f.Drawn = append(f.Drawn, p.Name)
		if t := m.Mismatched[p.Name]; t != nil {
			f.Reshaped = append(f.Reshaped, Mismatch{p.Name, checkpoint.Ints(p.Shape), checkpoint.Ints(t.Shape)})
		}
		if err := m.From.Why(p.Name); err != nil {
			f.Broken = append(f.Broken, err)
		}
	}
	for _, t := range m.Unused {
		if !checkpoint.Bookkeeping(t.Name) {
			f.Unused = append(f.Unused, t.Name)
		}
	}
	if len(f.Taken) == 0 {
		err := fmt.Errorf("none of its %d tensors is one of the model's %d parameters", len(m.From.Tensors), len(a.list))
		return nil, &LoadError{Path: c.path, Err: err}
	}
	return f, nil
}

// Parameter returns the checkpoint's values of a parameter, or else drawn ones.
func (f *Fit) Parameter(s *torch.Scope, name string, shape []int, init Init) (*torch.Tensor, error) {
	if f == nil || f.drawn == nil {
		return nil, errors.New("nn: the Fit is nil or was not made by Checkpoint.Fit")
	}
	if t, ok := f.tensors[name]; ok {
		return read(s, t, shape)
	}
	return f.drawn.Parameter(s, name, shape, init)
}

// Names returns nil: there is no name that a model must ask for.
func (f *Fit) Names() []string { return nil }

// of returns the path, for a LoadError.
func (f *Fit) of() string { return f.Path }

// String says in a few lines which parameters come from where. Names are cut to what
// they have in common.
func (f *Fit) String() string {
	if f == nil {
		return "there is no checkpoint"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d of the model's %d parameters come from %s", len(f.Taken), len(f.Taken)+len(f.Drawn), cmp.Or(f.Path, "the checkpoint"))
	if len(f.Drawn) > 0 {
		fmt.Fprintf(&b, "; random: %s", strings.Join(summary(f.Drawn, f.Taken), ", "))
	}
	for _, m := range f.Reshaped {
		fmt.Fprintf(&b, "\n  %s has shape %v here, but %v in the file", m.Name, m.Want, m.Have)
	}
	for _, err := range f.Broken {
		fmt.Fprintf(&b, "\n  %v", err)
	}
	if len(f.Unused) > 0 {
		fmt.Fprintf(&b, "\n  tensors of the file that are not used: %s", strings.Join(summary(f.Unused, nil), ", "))
	}
	return b.String()
}

// summary shortens names: head.* stands for names that begin with "head." if none of the
// others does.
func summary(names, others []string) []string {
	var out []string
	for _, name := range names {
		short := name
		for i, c := range name {
			begin := name[:i+1]
			if c == '.' && !slices.ContainsFunc(others, func(o string) bool { return strings.HasPrefix(o, begin) }) {
				short = begin + "*"
				break
			}
		}
		if !slices.Contains(out, short) {
			out = append(out, short)
		}
	}
	return out
}

// asked is a Source that notes what it is asked for.
type asked struct{ list []checkpoint.Param }

func (a *asked) Parameter(s *torch.Scope, name string, shape []int, _ Init) (*torch.Tensor, error) {
	a.list = append(a.list, checkpoint.Param{Name: name, Shape: checkpoint.Int64s(shape)})
	return s.Zeros(torch.F32(torch.CPU), shape...), nil
}

func (*asked) Names() []string { return nil }
