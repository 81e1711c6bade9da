package nn

import (
	"errors"
	"slices"

	"github.com/diffusioninst/go/internal/checkpoint"
	"github.com/diffusioninst/go/torch"
)

// ErrNotFinite says that a parameter contains NaN or an infinity.
var ErrNotFinite = errors.New("contains NaN or infinite values")

type fromCheckpoint struct {
	file   *checkpoint.File
	ignore func(name string) bool
}

// FromCheckpoint is a Source of the parameters in a checkpoint. Names for which
// ignore (nil for none) returns true are no parameters and not reported as unexpected.
func FromCheckpoint(file *checkpoint.File, ignore func(name string) bool) Source {
	return fromCheckpoint{file, ignore}
}

var checkpointTypes = map[checkpoint.DType]torch.DType{
	checkpoint.Float64: torch.Float64, checkpoint.Float32: torch.Float32, checkpoint.Float16: torch.Float16,
	checkpoint.BFloat16: torch.BFloat16, checkpoint.Int64: torch.Int64, checkpoint.Int32: torch.Int32,
	checkpoint.Int16: torch.Int16, checkpoint.Int8: torch.Int8, checkpoint.Uint8: torch.Uint8, checkpoint.Bool: torch.Bool,
}

func (c fromCheckpoint) Parameter(s *torch.Scope, name string, shape []int, _ Init) (*torch.Tensor, error) {
	t, ok := c.file.Tensor(name)
	if !ok {
		return nil, nil
	}
	if have := checkpoint.Ints(t.Shape); !slices.Equal(have, shape) {
		return nil, &ShapeError{Have: have}
	}
	return read(s, t)
}

// read is a checkpoint's tensor, which must be finite.
func read(s *torch.Scope, t *checkpoint.Tensor) (*torch.Tensor, error) {
	data := make([]byte, t.Elements()*int64(t.DType.Size()))
	if err := t.ReadInto(data); err != nil {
		return nil, err
	}
	values := s.FromBytes(data, checkpointTypes[t.DType], torch.CPU, checkpoint.Ints(t.Shape)...)
	if values.IsFinite().All().Item() == 0 {
		return nil, ErrNotFinite
	}
	return values, nil
}

func (c fromCheckpoint) Names() []string {
	var out []string
	for _, t := range c.file.Tensors {
		if c.ignore == nil || !c.ignore(t.Name) {
			out = append(out, t.Name)
		}
	}
	return out
}

type fromMatching struct {
	tensors map[string]*checkpoint.Tensor
	drawn   Source
}

// FromMatching is a Source of what a checkpoint has for a model and, for parameters that
// it lacks or has in another shape, of values drawn from a seed as by FromSeed.
func FromMatching(m *checkpoint.Matching, seed uint64) Source {
	return fromMatching{m.Tensors, FromSeed(seed)}
}

func (f fromMatching) Parameter(s *torch.Scope, name string, shape []int, init Init) (*torch.Tensor, error) {
	t, ok := f.tensors[name]
	if !ok {
		return f.drawn.Parameter(s, name, shape, init)
	}
	if have := checkpoint.Ints(t.Shape); !slices.Equal(have, shape) {
		return nil, &ShapeError{Have: have}
	}
	return read(s, t)
}

func (fromMatching) Names() []string { return nil }
