package checkpoint

import (
	"fmt"
	"io"
	"maps"
	"os"
	"strings"
)

// A File is an open checkpoint.
type File struct {
	Format  Format
	Tensors []*Tensor // in file order, names unique
	// Metadata is that of safetensors; for PyTorch and Detectron2 files it holds the
	// numbers, strings and booleans beside the model ("iteration", "__author__").
	Metadata map[string]string

	path   string
	byName map[string]*Tensor
	parts  map[string][]*Tensor // beside the model
	closer io.Closer
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

// Model returns the tensors of the model: f itself or, if f is the state of a training
// run, its averaged parameters, or its parameters if there are no averages. The result
// can be read until f is closed.
func (f *File) Model() *File {
	if _, ok := f.Metadata[StateKey]; !ok {
		return f
	}
	for _, prefix := range []string{AveragePart, ModelPart} {
		part := &File{Format: f.Format, Metadata: maps.Clone(f.Metadata), path: f.path}
		delete(part.Metadata, StateKey)
		for _, t := range f.Tensors {
			if name, ok := strings.CutPrefix(t.Name, prefix); ok {
				c := *t
				c.Name = name
				part.Tensors = append(part.Tensors, &c)
			}
		}
		if len(part.Tensors) > 0 {
			part.index()
			return part
		}
	}
	return f
}

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
	if size > 0 {
		var last [1]byte
		if n, err := r.ReadAt(last[:], size-1); n < 1 {
			return nil, readError("the last byte", err)
		}
	}
	var f *File
	var err error
	switch sniff(head) {
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
}

// Part returns what a training program keeps beside the model under a key of its own,
// such as "ema_state" (averaged weights) or "optimizer". Tensors of unsupported types are
// left out. It returns false if there are no tensors under the key. The part can be read until f is closed.
func (f *File) Part(key string) (*File, bool) {
	tensors, ok := f.parts[key]
	if !ok {
		return nil, false
	}
	part := &File{Format: f.Format, Metadata: map[string]string{}, path: f.path}
	for _, t := range tensors {
		c := *t
		part.Tensors = append(part.Tensors, &c)
	}
	part.index()
	return part, true
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
