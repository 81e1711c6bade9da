package diffusioninst

import (
	"context"
	"encoding/json"
	"errors"
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
	// Replicas are further devices, such as the other GPUs of the machine, each of which gets a copy of the network. A
	// call runs on the one that has the fewest. Calls run at once on as many as package torch has workers
	// (torch.SetWorkers). All must be GPUs if Device is one.
	Replicas []torch.Device
	// EMA says whether averaged weights are wanted of a checkpoint that has several sets of
	// weights. nn.EMAAuto takes what Config.Averaged says, and the averages of a training
	// state of this module; Model.Weights returns what was taken.
	EMA nn.EMAChoice
	// Precision is the type of the model's products; Model.Precision returns what was taken.
	Precision Precision
	// Calibrator, if not nil, notes the ranges for Config.Int8 while the model, in float32 on the CPU, segments pictures like those that it
	// will see in PrecisionInt8.
	Calibrator *nn.Calibrator
	// Graphs makes a model on a GPU record the work of its network as CUDA graphs, which cost the host one launch each
	// in place of one per operator: for each padded size and number of pictures one of the backbone and the
	// mask branch, and for each of these and number of proposals one of the decoder, whatever the sampler is. The first
	// call with a size computes as without, the second records. Each worker of package torch then has a stream and graphs of
	// its own: at most 16 sizes, and 1 GiB of inputs and results beside what lies in between. A backbone's Forward must
	// depend on nothing but its argument. What cannot be recorded is computed operator by operator, and package slog's
	// default logger says so once. It needs LibTorch 2.1 or later, and no GPU has run it yet: see docs/cuda.md.
	Graphs bool
}

// graphs returns the graphs that a model on a device begins with, or a *ConfigError.
func (o LoadOptions) graphs(device torch.Device) (*graphs, error) {
	switch {
	case !o.Graphs:
		return nil, nil
	case !device.IsCUDA():
		return nil, configError("graphs on %v: they are for GPUs", device)
	case !torch.HasGraphs():
		return nil, configError("graphs on %v: LibTorch %s cannot record them, 2.1 and later can", device, torch.Version())
	}
	return newGraphs(device), nil
}

// Load reads a model from a checkpoint: the official project's .pth, Detectron2's
// .pkl, or safetensors, including the state of a training run and what DataParallel,
// torch.compile and Lightning make of a model. A file that is broken, not
// a checkpoint, or without the configuration's parameters is a *LoadError, which lists all
// parameters that do not fit.
func Load(ctx context.Context, path string, o LoadOptions) (*Model, error) {
	file, err := nn.OpenCheckpoint(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return load(ctx, file, o)
}

// LoadFrom reads a model as Load does from size bytes behind a reader, such as a file that
// is embedded in the program: LoadFrom(ctx, bytes.NewReader(data), int64(len(data)), o).
// The reader is not used after it returns.
func LoadFrom(ctx context.Context, r io.ReaderAt, size int64, o LoadOptions) (*Model, error) {
	file, err := nn.ReadCheckpoint(r, size)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return load(ctx, file, o)
}

// LoadSource returns a model with the parameters of a source, such as nn.FromSeed for tests or the
// current ones of a training run (nn.FromParameters). o.Config must be set, and o.EMA not.
// Parameters that do not fit are a *LoadError that lists all of them.
func LoadSource(ctx context.Context, source nn.Source, o LoadOptions) (*Model, error) {
	if o.Config == nil || o.EMA != nn.EMAAuto {
		return nil, errors.New("diffusioninst: LoadSource needs LoadOptions.Config, and has no averages to choose by EMA")
	}
	places, err := o.places(ctx)
	if err != nil {
		return nil, err
	}
	return replicate(ctx, *o.Config, source, places)
}

func load(ctx context.Context, file *nn.Checkpoint, o LoadOptions) (*Model, error) {
	file, err := file.Weights(o.EMA, o.Config != nil && o.Config.Averaged)
	if err != nil {
		return nil, err
	}
	config, err := o.complete(file)
	if err != nil {
		return nil, loadError(file, err)
	}
	places, err := o.places(ctx)
	if err != nil {
		return nil, err // not about the file
	}
	m, err := replicate(ctx, config, file.Source(), places)
	if err != nil {
		return nil, loadError(file, err)
	}
	m.weights = file.Sets()
	return m, nil
}

// complete returns the configuration with what it leaves out inferred from the checkpoint.
func (o LoadOptions) complete(file *nn.Checkpoint) (Config, error) {
	if o.Config == nil {
		return infer(file)
	}
	c := *o.Config
	var err error
	if c.Backbone == nil {
		c.Backbone, err = inferBackbone(shapesOf(file))
	}
	if text, ok := file.Metadata()[checkpoint.ConfigKey]; err == nil && ok && c.Int8 == nil { // which belongs to the weights
		var own struct{ Int8 nn.Calibration }
		if err = json.Unmarshal([]byte(text), &own); err != nil {
			return c, asConfigError(err)
		}
		c.Int8 = own.Int8
	}
	return c, err
}

// LoadError says which checkpoint could not be loaded, and why.
type LoadError = nn.LoadError

// loadError returns err as a *LoadError of the file.
func loadError(file *nn.Checkpoint, err error) error {
	if e := (*LoadError)(nil); errors.As(err, &e) {
		return err
	}
	return &LoadError{Path: file.Path(), Err: err}
}
