package nn

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"

	"github.com/diffusioninst/go/internal/checkpoint"
	"github.com/diffusioninst/go/internal/nilcheck"
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
	// ErrForbidden says that weights are kept in objects of a class that is not known here.
	// Its code would have to be run, and nothing in a pickle ever is.
	ErrForbidden = checkpoint.ErrForbidden
	// ErrUnsupported says that the file is sound but uses a feature that is not read.
	ErrUnsupported = checkpoint.ErrUnsupported
	// ErrNoAverage says that a file does not have the averaged weights that EMAOn asks for,
	// or has no others, which EMAOff asks for.
	ErrNoAverage = checkpoint.ErrNoAverage
	// ErrAmbiguous says that the names of a file fit a model's in two ways.
	ErrAmbiguous = checkpoint.ErrAmbiguous
)

// An EMAChoice says whether the averaged weights of a checkpoint are wanted: the moving
// averages that many training programs keep beside the weights.
type EMAChoice int8

// The choices. The zero value is EMAAuto.
const (
	// EMAAuto takes the averages of a training state of this module and of a file without
	// other weights; of any other file what the caller prefers, such as by a configuration.
	EMAAuto EMAChoice = 0
	EMAOn   EMAChoice = 1  // the averages; a file without any is an error
	EMAOff  EMAChoice = -1 // the weights as they were trained; a file without any is an error
)

// A WeightSet is one of the sets of weights in a checkpoint.
type WeightSet struct {
	// Name is the place in the file: the keys that lead to the set and what is before the
	// names of its tensors, such as "state_dict.model" or "ema_state"; "" if that is nothing.
	Name     string
	Averaged bool // moving averages
	Tensors  int
	// Filled is the number of tensors that averages lack, such as the statistics of norms,
	// and that are taken from the weights they are averages of.
	Filled int
	// Unnamed is true for averages in a list without names, as torch_ema saves them. They
	// cannot be taken.
	Unnamed bool
}

// A Checkpoint is an open file of parameters: PyTorch's .pth, Detectron2's .pkl or
// safetensors. Of several sets of weights in a file it is one; see Weights. Names are
// the model's: "module." and other names before the names of all tensors of a set, as
// DataParallel, torch.compile and Lightning add them, are dropped. Values are read when a
// Store asks for them. It is safe for concurrent use.
type Checkpoint struct {
	path  string
	file  *checkpoint.File // what is closed
	model *checkpoint.File // what is read
}

// OpenCheckpoint opens a checkpoint, whose format is recognised by its content. The
// caller closes it after the last Store has been built from it. Errors are a *LoadError.
func OpenCheckpoint(path string) (*Checkpoint, error) {
	if path == "" {
		return nil, &LoadError{Err: fmt.Errorf("the path of the checkpoint is empty: %w", fs.ErrNotExist)}
	}
	file, err := checkpoint.Open(path)
	if err != nil {
		return nil, &LoadError{Path: path, Err: err}
	}
	return newCheckpoint(path, file)
}

// ReadCheckpoint is OpenCheckpoint for size bytes behind a reader, such as a checkpoint
// that is embedded in the program. The reader must stay usable until Close.
func ReadCheckpoint(r io.ReaderAt, size int64) (*Checkpoint, error) {
	if nilcheck.Is(r) {
		return nil, &LoadError{Err: errors.New("there is no reader")}
	}
	file, err := checkpoint.Read(r, size)
	if err != nil {
		return nil, &LoadError{Err: err}
	}
	return newCheckpoint("", file)
}

func newCheckpoint(path string, file *checkpoint.File) (*Checkpoint, error) {
	c, err := (&Checkpoint{path, file, file}).Weights(EMAAuto, false)
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return c, nil
}

// Weights returns the checkpoint with the set of weights that is chosen; with EMAAuto,
// prefer says whether averages come first. Either of the two may be closed, which closes the
// file. It is a *LoadError if the file does not have what is asked for, or has it in
// several places none of which is the usual one.
func (c *Checkpoint) Weights(choice EMAChoice, prefer bool) (*Checkpoint, error) {
	if choice < EMAOff || choice > EMAOn {
		return nil, &LoadError{Path: c.Path(), Err: fmt.Errorf("EMAChoice %d: not EMAAuto, EMAOn or EMAOff", choice)}
	}
	if c == nil || c.file == nil {
		return nil, &LoadError{Err: errors.New("there is no open checkpoint")}
	}
	model, err := c.file.Weights(checkpoint.Average(choice), prefer)
	if err != nil {
		return nil, &LoadError{Path: c.path, Err: err}
	}
	return &Checkpoint{c.path, c.file, model}, nil
}

// Sets returns the sets of weights in the file, the one that the checkpoint is first. It
// is empty if the file is not of a DiffusionInst: Fit and Source then find the set by the
// names of the model.
func (c *Checkpoint) Sets() []WeightSet { return weightSets(c.content()) }

func weightSets(f *checkpoint.File) []WeightSet {
	var out []WeightSet
	for _, s := range f.Sets() {
		out = append(out, WeightSet{s.Name, s.Averaged, s.Tensors, s.Filled, s.Unnamed})
	}
	return out
}

// Why returns why the checkpoint has no tensor of a name that is in it: its element type
// is not supported, or it is an object of a class that is not known here. It returns nil
// for a tensor, and for a name that the checkpoint does not have.
func (c *Checkpoint) Why(name string) error { return c.content().Why(name) }

// Close closes the file. Values can then no longer be read.
func (c *Checkpoint) Close() error {
	if c == nil || c.file == nil {
		return nil
	}
	return c.file.Close()
}

// content is what is read: nothing of a Checkpoint that is nil or was not opened.
func (c *Checkpoint) content() *checkpoint.File {
	if c == nil || c.model == nil {
		return &checkpoint.File{}
	}
	return c.model
}

// Path returns the path of the file, "" after ReadCheckpoint.
func (c *Checkpoint) Path() string {
	if c == nil {
		return ""
	}
	return c.path
}

// Names returns the names of the tensors in the order of the file.
func (c *Checkpoint) Names() []string {
	return namesOf(c.content())
}

func namesOf(f *checkpoint.File) []string {
	out := make([]string, len(f.Tensors))
	for i, t := range f.Tensors {
		out[i] = t.Name
	}
	return out
}

// Shape returns the shape of a tensor, nil if the checkpoint has no tensor of that name;
// that of a scalar is empty and not nil.
func (c *Checkpoint) Shape(name string) []int {
	t, ok := c.content().Tensor(name)
	if !ok {
		return nil
	}
	return checkpoint.Ints(t.Shape)
}

// Metadata returns what the file says beside its tensors: the metadata of safetensors, or
// the numbers, strings and truth values that PyTorch and Detectron2 keep beside a model.
// Checkpoints of this module have their configuration under "diffusioninst", in JSON.
func (c *Checkpoint) Metadata() map[string]string { return maps.Clone(c.content().Metadata) }

// Source returns the checkpoint as a Source of a model whose parameters it must have,
// with the same names and shapes and no others; see Fit for a checkpoint of another
// model. Counters and constants of the official project, such as num_batches_tracked
// and pixel_mean, are not parameters and not reported as unexpected.
func (c *Checkpoint) Source() Source { return &strict{path: c.Path(), model: c.content()} }

// strict is a Source of exactly what a checkpoint has.
type strict struct {
	path  string
	model *checkpoint.File
	found bool // model is the set of weights of the first name that was asked for
}

func (c *strict) Parameter(s *torch.Scope, name string, shape []int, _ Init) (*torch.Tensor, error) {
	if !c.found {
		c.model, c.found = c.model.For(name), true
	}
	t, ok := c.model.Tensor(name)
	if !ok {
		return nil, c.model.Why(name)
	}
	return read(s, t, shape)
}

func (c *strict) Names() []string {
	return slices.DeleteFunc(namesOf(c.model), checkpoint.Bookkeeping)
}

// of returns the path, for a LoadError.
func (c *strict) of() string { return c.path }

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
	if !checkpoint.Finite(data, t.DType) {
		return nil, ErrNotFinite
	}
	return s.FromBytes(data, checkpointTypes[t.DType], torch.CPU, shape...), nil
}
