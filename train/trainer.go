package train

import (
	"context"
	"errors"
	"fmt"

	"github.com/diffusioninst/go/backbone"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
	"github.com/diffusioninst/go/train/data"
)

// A Trainer is a network that learns. One goroutine at a time may use it.
type Trainer struct {
	config    diffusioninst.Config
	options   Options
	device    torch.Device
	store     *nn.Store
	network   *diffusioninst.Network
	optimizer nn.Optimizer
	average   *nn.EMA // nil without Options.EMA
	steps     int
	samples   int64          // trained on, by all processes
	peers     *peers         // nil without others
	buckets   *torch.Buckets // of gradients; nil where the GPU does not add them up itself
	parts     int            // of the batch whose backward pass is still to come
	learned   []int          // places of the parameters that have a gradient in any process
	release   func()         // of cached memory
	replicas  []*replica
	team      *torch.Team // nil with one replica
	scale     *lossScale  // nil but in float16
	graphs    *graphs     // nil without Options.Graphs
	closed    bool
}

// notFinite is a *nn.NotFiniteError.
func notFinite(where string, stage int, samples []string, value float64) error {
	return fmt.Errorf("train: %w", &nn.NotFiniteError{Where: where, Stage: stage, Samples: samples, Value: value})
}

// New returns a trainer of the model that c describes, whose parameters start as the
// source has them: nn.FromSeed, nn.Checkpoint.Source, or OpenPretrained. Parameters that
// do not fit are a *nn.LoadError.
func New(ctx context.Context, c diffusioninst.Config, source nn.Source, device torch.Device, o Options) (*Trainer, error) {
	c, err := c.WithDefaults()
	if err != nil {
		return nil, err
	}
	if o, err = o.withDefaults(len(c.Classes)); err != nil {
		return nil, err
	}
	if err := device.Check(); err != nil {
		return nil, err
	}
	if err := checkMemory(c, o.maxBytes(device), []data.Sample{{Width: 32, Height: 32}}); err != nil {
		return nil, err
	}
	if o.Replicas > 1 && device.IsCUDA() {
		return nil, fmt.Errorf("train: options: %d replicas on %v: only the CPU is shared", o.Replicas, device)
	}
	if o.Precision == torch.Float16 && !device.IsCUDA() {
		return nil, fmt.Errorf("train: options: float16 on %v: bfloat16 is the CPU's", device)
	}
	if o.Precision == torch.BFloat16 {
		if err := device.CheckPrecision(ctx, o.Precision); err != nil {
			return nil, fmt.Errorf("train: options: a precision of bfloat16, use float32: %w", err)
		}
	}
	c.Int8 = nil // which are those of weights that training changes
	t := &Trainer{config: c, options: o, device: device, release: torch.CacheMemory()}
	if o.Precision == torch.Float16 {
		t.scale = &lossScale{Value: scaleStart}
	}
	err = torch.Do(ctx, func(s *torch.Scope) error {
		t.store = nn.NewStore(source, t.storeOptions())
		prepared := false
		defer func() {
			if !prepared {
				t.store.Close()
			}
		}()
		var err error
		if t.network, err = diffusioninst.NewNetwork(t.store.Root(), c); err == nil {
			err = t.store.Err()
		}
		if err != nil {
			return err
		}
		if err := t.prepare(); err != nil { // an optimiser with impossible settings panics
			return err
		}
		prepared = true
		err = t.replicate()
		if err == nil {
			err = t.meet(ctx)
		}
		if err != nil {
			t.close()
		}
		return err
	})
	if err != nil {
		t.release()
		return nil, err
	}
	return t, nil
}

func (t *Trainer) storeOptions() nn.StoreOptions {
	return nn.StoreOptions{Device: t.device, DType: t.options.dtype(), Compute: t.options.Precision, Eager: t.options.Eager}
}

// prepare says what learns.
func (t *Trainer) prepare() error {
	if err := t.options.checkFrozen(t.store); err != nil {
		return err
	}
	t.teach(&replica{store: t.store})
	if b, ok := t.network.Backbone.(backbone.Stochastic); ok {
		b.Reseed(t.options.Seed)
	}
	var err error
	if t.graphs, err = t.newGraphs(); err != nil {
		return err
	}
	if t.optimizer = t.options.Optimizer(t.options.groups(t.store.Parameters())); t.optimizer == nil {
		return errors.New("train: Options.Optimizer returned nil")
	}
	if t.options.EMA > 0 {
		t.average = nn.NewEMA(t.store, t.options.EMA)
	}
	return nil
}

// teach says what learns in a replica.
func (t *Trainer) teach(r *replica) {
	for _, p := range r.store.Parameters() {
		if t.options.frozen(p.Name) {
			p.Tensor.SetRequiresGrad(false)
		}
	}
	for _, n := range r.store.Norms() {
		n.Training = !t.options.frozen(n.Name)
	}
}

// ErrClosed says that a trainer was used after Close.
var ErrClosed = errors.New("train: the trainer is closed")

// made returns an error for a trainer that is not one, or no longer.
func (t *Trainer) made() error {
	if t == nil || t.store == nil {
		return errors.New("train: the Trainer is nil, or was not made by New")
	}
	if t.closed {
		return ErrClosed
	}
	return nil
}

// Close frees the trainer's memory. What is asked of it afterwards is ErrClosed; closing twice does nothing.
func (t *Trainer) Close() {
	if t.made() != nil {
		return
	}
	t.closed = true
	t.close()
	t.release()
}

func (t *Trainer) close() {
	t.graphs.drop()
	if t.buckets != nil {
		t.buckets.Close()
	}
	t.closeReplicas()
	t.optimizer.Close()
	if t.average != nil {
		t.average.Close()
	}
	t.store.Close()
}

// Config returns the model's configuration with all defaults filled in.
func (t *Trainer) Config() diffusioninst.Config { return t.config }
