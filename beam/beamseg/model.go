package beamseg

import (
	"context"
	"image"
	"sync"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/nuclei"
	"github.com/diffusioninst/go/torch"
)

// builtin is the name of the model that is part of the program.
const builtin = "builtin:nuclei"

// A shared is the model of a process. Beam sets up a DoFn for each bundle that runs at the same time and
// may never tear it down, so the model lives as long as the process.
type shared struct {
	loading sync.Mutex
	model   *diffusioninst.Model // nil until it is loaded
	turn    chan struct{}        // holds the one call at a time, which uses all cores, or the GPU
}

var models sync.Map // of *shared, by the names of weights and device

// modelOf returns the model of this process for some weights on a device. After an error the next call tries again.
func modelOf(ctx context.Context, weights, device string) (*shared, error) {
	v, _ := models.LoadOrStore([2]string{weights, device}, &shared{turn: make(chan struct{}, 1)})
	m := v.(*shared)
	m.loading.Lock()
	defer m.loading.Unlock()
	if m.model != nil {
		return m, nil
	}
	on, err := torch.ParseDevice(device)
	if err != nil {
		return nil, err
	}
	m.model, err = load(context.WithoutCancel(ctx), weights, diffusioninst.LoadOptions{Device: on}) // later bundles use it, too
	return m, err
}

// load reads a model. It is a variable for tests.
var load = func(ctx context.Context, weights string, o diffusioninst.LoadOptions) (*diffusioninst.Model, error) {
	if weights == builtin {
		return nuclei.Load(ctx, o)
	}
	return diffusioninst.Load(ctx, weights, o)
}

// segment segments a picture when its turn has come.
func (m *shared) segment(ctx context.Context, img image.Image, o diffusioninst.Options) (*diffusioninst.Result, error) {
	select {
	case m.turn <- struct{}{}:
		defer func() { <-m.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return m.model.Segment(ctx, img, o)
}
