package nn

import (
	"errors"
	"io"
	"maps"
	"slices"

	"github.com/diffusioninst/go/internal/checkpoint"
	"github.com/diffusioninst/go/torch"
)

// Causes of a LoadError, to be used with errors.Is.
var (
	// ErrNotFinite says that a parameter contains NaN or an infinity.
	ErrNotFinite = errors.New("contains NaN or infinite values")
	// ErrNotCheckpoint says that the file is something else, such as a picture or a web page.
	ErrNotCheckpoint = checkpoint.ErrNotCheckpoint
	// ErrCorrupt says that the file is cut off or contradicts itself.
	ErrCorrupt = checkpoint.ErrCorrupt
	// ErrForbidden says that a pickle names a class or function that is not needed for
	// reading tensors. Nothing in a pickle is ever run.
	ErrForbidden = checkpoint.ErrForbidden
	// ErrUnsupported says that the file is sound but uses a feature that is not read.
	ErrUnsupported = checkpoint.ErrUnsupported
	// ErrAmbiguous says that the names of a file fit those of a model in two ways.
	ErrAmbiguous = checkpoint.ErrAmbiguous
)

// A Checkpoint is an open file of parameters: PyTorch's .pth, Detectron2's .pkl or
// safetensors. Of the state of a training run it is the model: the averaged parameters
// if the run kept averages, otherwise the parameters. Values are read when a Store asks
// for them. It is safe for concurrent use.
type Checkpoint struct {
	path  string
	file  *checkpoint.File // what is closed
	model *checkpoint.File // what is read
}

// OpenCheckpoint opens a checkpoint, whose format is recognised by its content. The
// caller closes it after the last Store has been built from it. Errors are a *LoadError.
func OpenCheckpoint(path string) (*Checkpoint, error) {
	file, err := checkpoint.Open(path)
	if err != nil {
		return nil, &LoadError{Path: path, Err: err}
	}
	return &Checkpoint{path, file, file.Model()}, nil
}

// ReadCheckpoint is OpenCheckpoint for size bytes behind a reader, such as a checkpoint
// that is embedded in the program. The reader must stay usable until Close.
func ReadCheckpoint(r io.ReaderAt, size int64) (*Checkpoint, error) {
	file, err := checkpoint.Read(r, size)
	if err != nil {
		return nil, &LoadError{Err: err}
	}
	return &Checkpoint{"", file, file.Model()}, nil
}

// Close closes the file. Values can then no longer be read.
func (c *Checkpoint) Close() error { return c.file.Close() }

// Path returns the path of the file, "" after ReadCheckpoint.
func (c *Checkpoint) Path() string { return c.path }

// Names returns the names of the tensors in the order of the file.
func (c *Checkpoint) Names() []string {
	out := make([]string, len(c.model.Tensors))
	for i, t := range c.model.Tensors {
		out[i] = t.Name
	}
	return out
}

// Shape returns the shape of a tensor, nil if the checkpoint has no tensor of that name;
// that of a scalar is empty and not nil.
func (c *Checkpoint) Shape(name string) []int {
	t, ok := c.model.Tensor(name)
	if !ok {
		return nil
	}
	return checkpoint.Ints(t.Shape)
}

// Metadata returns what the file says beside its tensors: the metadata of safetensors, or
// the numbers, strings and truth values that PyTorch and Detectron2 keep beside a model.
// Checkpoints of this module have their configuration under "diffusioninst", in JSON.
func (c *Checkpoint) Metadata() map[string]string { return maps.Clone(c.model.Metadata) }

// Source returns the checkpoint as a Source of a model whose parameters it must have,
// with the same names and shapes and no others; see Fit for a checkpoint of another
// model. Counters and constants of the official project, such as num_batches_tracked
// and pixel_mean, are not parameters and not reported as unexpected.
func (c *Checkpoint) Source() Source { return strict{c} }

// strict is a Source of exactly what a checkpoint has.
type strict struct{ *Checkpoint }

func (c strict) Parameter(s *torch.Scope, name string, shape []int, _ Init) (*torch.Tensor, error) {
	t, ok := c.model.Tensor(name)
	if !ok {
		return nil, nil
	}
	return read(s, t, shape)
}

func (c strict) Names() []string {
	return slices.DeleteFunc(c.Checkpoint.Names(), checkpoint.Bookkeeping)
}

// of returns the path, for a LoadError.
func (c strict) of() string { return c.path }

var checkpointTypes = map[checkpoint.DType]torch.DType{
	checkpoint.Float64: torch.Float64, checkpoint.Float32: torch.Float32, checkpoint.Float16: torch.Float16,
	checkpoint.BFloat16: torch.BFloat16, checkpoint.Int64: torch.Int64, checkpoint.Int32: torch.Int32,
	checkpoint.Int16: torch.Int16, checkpoint.Int8: torch.Int8, checkpoint.Uint8: torch.Uint8, checkpoint.Bool: torch.Bool,
}

// read returns the values of a checkpoint's tensor, which must be finite and of a shape.
func read(s *torch.Scope, t *checkpoint.Tensor, shape []int) (*torch.Tensor, error) {
	if have := checkpoint.Ints(t.Shape); !slices.Equal(have, shape) {
		return nil, &ShapeError{Have: have}
	}
	data := make([]byte, t.Elements()*int64(t.DType.Size()))
	if err := t.ReadInto(data); err != nil {
		return nil, err
	}
	values := s.FromBytes(data, checkpointTypes[t.DType], torch.CPU, shape...)
	if values.IsFinite().All().Item() == 0 {
		return nil, ErrNotFinite
	}
	return values, nil
}
