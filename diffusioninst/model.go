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
	config   Config
	weights  []nn.WeightSet
	device   torch.Device
	store    *nn.Store
	backbone backbone.Backbone
	branch   *maskhead.Branch
	decoder  *decoder.Decoder

	use    sync.RWMutex // held for reading while a call runs
	closed bool
}

// ErrClosed says that a model was used after Close.
var ErrClosed = errors.New("diffusioninst: the model is closed")

// New returns an untrained model whose parameters are drawn from a seed. It finds
// nothing sensible; it is for tests and benchmarks.
func New(ctx context.Context, c Config, seed uint64, device torch.Device) (*Model, error) {
	return build(ctx, c, nn.FromSeed(seed), device)
}

// NewFrom returns a model with the parameters of a source, such as the current ones of a
// training run (nn.FromParameters). Parameters that do not fit are a *LoadError that lists
// all of them.
func NewFrom(ctx context.Context, c Config, source nn.Source, device torch.Device) (*Model, error) {
	return build(ctx, c, source, device)
}

// build returns a model with the parameters of a source.
func build(ctx context.Context, c Config, source nn.Source, device torch.Device) (*Model, error) {
	c, err := c.WithDefaults()
	if err != nil {
		return nil, err
	}
	if err := device.Check(); err != nil {
		return nil, err
	}
	m := &Model{config: c, device: device}
	err = torch.Do(ctx, func(s *torch.Scope) error {
		m.store = nn.NewStore(source, nn.StoreOptions{Device: device, Inference: true})
		n, err := NewNetwork(m.store.Root(), c)
		if err == nil {
			m.backbone, m.branch, m.decoder = n.Backbone, n.Branch, n.Decoder
			err = m.store.Err()
		}
		if err != nil {
			m.store.Close()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// Config returns the model's configuration with all defaults filled in.
func (m *Model) Config() Config { return m.config }

// Weights returns the sets of weights in the checkpoint that the model was loaded from,
// the one that it has first; nil if it was not loaded.
func (m *Model) Weights() []nn.WeightSet { return slices.Clone(m.weights) }

// Device returns the device that the model runs on.
func (m *Model) Device() torch.Device { return m.device }

// Parameters returns the number of parameters, counted in single numbers; 0 after Close.
func (m *Model) Parameters() int64 {
	if m.begin() != nil {
		return 0
	}
	defer m.use.RUnlock()
	return m.store.Bytes() / int64(torch.Float32.Size())
}

// begin keeps the model open until m.use.RUnlock, which must follow unless it fails.
func (m *Model) begin() error {
	m.use.RLock()
	if m.closed {
		m.use.RUnlock()
		return ErrClosed
	}
	return nil
}

// Close waits for the calls that are running and frees the model's memory. Later calls
// return ErrClosed. Closing twice does nothing.
func (m *Model) Close() error {
	m.use.Lock()
	defer m.use.Unlock()
	if !m.closed {
		m.closed = true
		m.store.Close()
	}
	return nil
}
