package beamseg

import (
	"context"
	"image"
	"sync"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/nuclei"
)

// builtin is the name of the model that is part of the program.
const builtin = "builtin:nuclei"

// A shared is the model of a process. Beam sets up a DoFn for each bundle that runs at the same time and
// may never tear it down, so the model lives as long as the process.
type shared struct {
	loading sync.Mutex
	model   *diffusioninst.Model // nil until it is loaded
	turn    chan struct{}        // holds the one call at a time, which uses all cores
}

var models sync.Map // of *shared, by what the weights are named

// modelOf returns the model of this process for some weights. After an error the next call tries again.
func modelOf(ctx context.Context, weights string) (*shared, error) {
	v, _ := models.LoadOrStore(weights, &shared{turn: make(chan struct{}, 1)})
	m := v.(*shared)
	m.loading.Lock()
	defer m.loading.Unlock()
	if m.model != nil {
		return m, nil
	}
	var err error
	m.model, err = load(context.WithoutCancel(ctx), weights) // later bundles use it, too
	return m, err
}

// load reads a model. It is a variable for tests.
var load = func(ctx context.Context, weights string) (*diffusioninst.Model, error) {
	if weights == builtin {
		return nuclei.Load(ctx, diffusioninst.LoadOptions{})
	}
	return diffusioninst.Load(ctx, weights, diffusioninst.LoadOptions{})
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
