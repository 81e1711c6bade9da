package diffusioninst

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/diffusioninst/go/backbone"
	"github.com/diffusioninst/go/decoder"
	"github.com/diffusioninst/go/maskhead"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// Model is a loaded network. It is safe for concurrent use.
type Model struct {
	config    Config
	weights   []nn.WeightSet
	device    torch.Device
	precision Precision // not auto
	store     *nn.Store
	backbone  backbone.Backbone
	branch    *maskhead.Branch
	decoder   *decoder.Decoder
	graphs    *graphs  // nil without LoadOptions.Graphs
	gate      gate     // of the calls
	others    []*Model // further replicas, which have neither weights nor gate

	balance sync.Mutex // of the calls of all replicas
	turns   int64      // calls that have begun
	calls   int        // that run on this replica
	turn    int64      // of its last call
}

// New returns an untrained model whose parameters are drawn from a seed. It finds
// nothing sensible; it is for tests and benchmarks.
func New(ctx context.Context, c Config, seed uint64, device torch.Device) (*Model, error) {
	return build(ctx, c, nn.FromSeed(seed), place{device: device})
}

// NewFrom returns a model with the parameters of a source, such as the current ones of a
// training run (nn.FromParameters). Parameters that do not fit are a *LoadError that lists
// all of them.
func NewFrom(ctx context.Context, c Config, source nn.Source, device torch.Device) (*Model, error) {
	return build(ctx, c, source, place{device: device})
}

// build returns a model with the parameters of a source at a place, but without its graphs.
func build(ctx context.Context, c Config, source nn.Source, p place) (*Model, error) {
	c, err := c.WithDefaults()
	if err != nil {
		return nil, err
	}
	if err := p.device.Check(); err != nil {
		return nil, err
	}
	options := nn.StoreOptions{Device: p.device, Compute: p.precision.dtype(), Inference: true, Calibrator: p.calibrator}
	if p.precision == PrecisionInt8 {
		if options.Int8 = c.Int8; len(c.Int8) == 0 {
			return nil, configError("a precision of int8: the model has no ranges for it (Config.Int8): diffusioninst quantize finds them on pictures")
		}
	}
	m := &Model{config: c, device: p.device, precision: p.precision}
	err = torch.Do(ctx, func(s *torch.Scope) error {
		m.store = nn.NewStore(source, options)
		built := false
		defer func() {
			if !built {
				m.store.Close()
			}
		}()
		n, err := NewNetwork(m.store.Root(), c)
		if err == nil {
			m.backbone, m.branch, m.decoder = n.Backbone, n.Branch, n.Decoder
			err = m.store.Err()
		}
		built = err == nil
		return err
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// made returns an error for a model that is not one.
func (m *Model) made() error {
	if m == nil || m.store == nil {
		return errors.New("diffusioninst: the Model is nil, or was not made by Load or New")
	}
	return nil
}

// Config returns the model's configuration with all defaults filled in.
func (m *Model) Config() Config { return m.config }

// Weights returns the sets of weights in the checkpoint that the model was loaded from,
// the one that it has first; nil if it was not loaded.
func (m *Model) Weights() []nn.WeightSet { return slices.Clone(m.weights) }

// Device returns the device that the model runs on, the first of several.
func (m *Model) Device() torch.Device { return m.device }

// Precision returns the type of the model's products, which is not PrecisionAuto.
func (m *Model) Precision() Precision { return m.precision }

// Parameters returns the number of parameters of a replica, counted in single numbers; 0 after Close.
func (m *Model) Parameters() int64 {
	if m.made() != nil || m.gate.enter() != nil {
		return 0
	}
	defer m.gate.leave()
	return m.store.Elements()
}

// Bytes returns the memory that the parameters of a replica take; 0 after Close.
func (m *Model) Bytes() int64 {
	if m.made() != nil || m.gate.enter() != nil {
		return 0
	}
	defer m.gate.leave()
	return m.store.Bytes()
}

// Check returns an *OptionError if options contradict each other or the model, as Segment
// would.
func (m *Model) Check(o Options) error {
	if err := m.made(); err != nil {
		return err
	}
	_, err := o.resolve(m.config)
	return err
}

// Close waits until the calls that are running have returned, and frees the model's memory.
// Calls that begin once Close has begun return ErrClosed at once. Closing twice does nothing.
// Close must not be called from within a call, which it would wait for: from a sampler, a
// backbone or Options.OnStep it returns an error, and the model stays open; a picture's methods
// are not to call it either.
func (m *Model) Close() error {
	if m.made() != nil {
		return nil
	}
	return m.gate.close(m.free)
}
