package diffusioninst

import (
	"context"
	"fmt"
	"io"

	"github.com/diffusioninst/go/internal/checkpoint"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// LoadOptions say how a checkpoint is loaded.
type LoadOptions struct {
	// Config describes the checkpoint's model. If it is nil, the checkpoint's own is
	// used; see Infer. If only its Backbone is nil, that is inferred.
	Config *Config
	Device torch.Device // the default is the CPU
}

// Load reads a model from a checkpoint: the official project's .pth, Detectron2's
// .pkl, or safetensors, including the state of a training run. A file that is broken or
// not a checkpoint is a *LoadError; parameters that do not fit the configuration are a
// *nn.LoadError that lists all of them.
func Load(ctx context.Context, path string, o LoadOptions) (*Model, error) {
	file, err := checkpoint.Open(path)
	if err != nil {
		return nil, &LoadError{path, err}
	}
	defer file.Close()
	return load(ctx, file, path, o)
}

// LoadFrom reads a model as Load does from size bytes behind a reader, such as a file that
// is embedded in the program: LoadFrom(ctx, bytes.NewReader(data), int64(len(data)), o).
// The reader is not used after it returns.
func LoadFrom(ctx context.Context, r io.ReaderAt, size int64, o LoadOptions) (*Model, error) {
	file, err := checkpoint.Read(r, size)
	if err != nil {
		return nil, &LoadError{"", err}
	}
	return load(ctx, file, "", o)
}

func load(ctx context.Context, file *checkpoint.File, path string, o LoadOptions) (*Model, error) {
	file = file.Model()
	config, err := o.complete(file)
	if err != nil {
		return nil, &LoadError{path, err}
	}
	m, err := build(ctx, config, nn.FromCheckpoint(file, checkpoint.Bookkeeping), o.Device)
	if err != nil {
		return nil, &LoadError{path, err}
	}
	return m, nil
}

// complete returns the configuration with what it leaves out inferred from the checkpoint.
func (o LoadOptions) complete(file *checkpoint.File) (Config, error) {
	if o.Config == nil {
		return infer(file)
	}
	c := *o.Config
	var err error
	if c.Backbone == nil {
		c.Backbone, err = inferBackbone(shapesOf(file))
	}
	return c, err
}

// LoadError says which checkpoint could not be loaded, and why.
type LoadError struct {
	Path string // "" for what LoadFrom was given
	Err  error
}

func (e *LoadError) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("diffusioninst: loading a model: %v", e.Err)
	}
	return fmt.Sprintf("diffusioninst: %s: %v", e.Path, e.Err)
}

func (e *LoadError) Unwrap() error { return e.Err }
