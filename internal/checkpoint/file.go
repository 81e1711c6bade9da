package checkpoint

import (
	"fmt"
	"io"
	"os"
)

// A File is an open checkpoint.
type File struct {
	Format  Format
	Tensors []*Tensor // in file order, names unique
	// Metadata is that of safetensors; for PyTorch and Detectron2 files it holds the
	// numbers, strings and booleans beside the model ("iteration", "__author__").
	Metadata map[string]string

	// ReadOver are the classes and functions that a pickle names and that mean nothing here.
	// They are never imported or called: what is made with them is read over.
	ReadOver []string

	path    string
	byName  map[string]*Tensor
	groups  []*group // the model's first, then those beside it
	swapped bool     // the averages are where others keep the model; see Weights
	unread  map[string]error
	sets    []Set
	want    Average // what Weights was called with, if it found no set
	prefer  bool
	closer  io.Closer
}

// ConfigKey is the key of Metadata under which this module keeps a model's configuration.
const ConfigKey = "diffusioninst"

// StateKey is the key of Metadata that marks a file as the state of a training run. The
// names of its tensors begin with the name of a part: ModelPart, AveragePart or another.
const StateKey = "diffusioninst_training_state"

// Parts of the state of a training run.
const (
	ModelPart   = "model."
	AveragePart = "average."
)

// Open opens a checkpoint of any of the formats, recognised by content. The
// caller closes it. Errors about the content are of type [*FormatError]; a file
// that cannot be opened gives the error of the operating system.
func Open(path string) (*File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	if !info.Mode().IsRegular() {
		what := "it is not a regular file"
		if info.IsDir() {
			what = "it is a directory"
		}
		return nil, &FormatError{Path: path, Reason: "not a checkpoint: " + what, Err: ErrNotCheckpoint}
	}
	r, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	f, err := Read(r, info.Size())
	if err != nil {
		_ = r.Close()
		return nil, annotate(err, path, 0, "")
	}
	f.path, f.closer = path, r
	return f, nil
}

// Read is like Open for size bytes behind a reader, which must stay usable as long as
// tensors are read. Concurrent reads of tensors call ReadAt concurrently.
func Read(r io.ReaderAt, size int64) (*File, error) {
	head := make([]byte, min(max(size, 0), 512))
	if n, err := r.ReadAt(head, 0); n < len(head) {
		return nil, readError("the first bytes", err)
	}
	var last [1]byte
	if size > 0 {
		if n, err := r.ReadAt(last[:], size-1); n < 1 {
			return nil, readError("the last byte", err)
		}
	}
	var f *File
	var err error
	switch sniff(head, last[0]) {
	case containerZip:
		f, err = readZip(r, size)
	case containerPickle:
		f, err = readPickle(r, size)
	case containerSafetensors:
		f, err = readSafetensors(r, size)
	default:
		return nil, &FormatError{Reason: "not a checkpoint: " + describe(head, size), Err: ErrNotCheckpoint}
	}
	if err != nil {
		return nil, err
	}
	f.index()
	return f, nil
}

func (f *File) index() {
	f.byName = make(map[string]*Tensor, len(f.Tensors))
	for _, t := range f.Tensors {
		f.byName[t.Name] = t
		t.file = f
	}
	if f.groups == nil {
		f.groups = []*group{{tensors: f.Tensors}}
	}
	f.unread = f.groups[0].unread
}

// Why returns why the file has no tensor of a name that is in it: the element type is not
// supported, or it is an object of a class that is not known here. It returns nil for
// a name that is not in the file, and for a tensor.
func (f *File) Why(name string) error {
	err := f.unread[name]
	if err == nil {
		return nil
	}
	return annotate(err, f.path, f.Format, name)
}

// Part returns what a training program keeps beside the model under a key of its own,
// such as "ema_state" (averaged weights) or "optimizer". Tensors of unsupported types are
// left out. It returns false if there are no tensors under the key. The part can be read until f is closed.
func (f *File) Part(key string) (*File, bool) {
	for _, g := range f.groups[1:] {
		if g.path == key {
			return f.view(nil, g.tensors, "", g.unread), true
		}
	}
	return nil, false
}

// Tensor returns the tensor with a name, and whether there is one.
func (f *File) Tensor(name string) (*Tensor, bool) {
	t, ok := f.byName[name]
	return t, ok
}

// Close closes the file that [Open] opened; its tensors cannot be read afterwards.
// It does nothing after [Read].
func (f *File) Close() error {
	if f.closer == nil {
		return nil
	}
	return f.closer.Close()
}
