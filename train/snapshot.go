package train

import (
	"context"
	"fmt"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/nn"
)

// Snapshot returns a model for inference with the averages or, without Options.EMA, of the
// parameters as they are now: a copy on the trainer's device, which training does not
// change and the caller closes. It segments like the model that diffusioninst.Load
// reads from what Export writes.
func (t *Trainer) Snapshot(ctx context.Context) (*diffusioninst.Model, error) {
	if err := t.made(); err != nil {
		return nil, err
	}
	m, err := diffusioninst.NewFrom(ctx, t.config, nn.FromParameters(t.weights(false)), t.device)
	if err != nil {
		return nil, fmt.Errorf("train: snapshot: %w", err)
	}
	return m, nil
}

// weights are the averages or, without any or on request, the parameters themselves.
func (t *Trainer) weights(current bool) []*nn.Parameter {
	if t.average != nil && !current {
		return t.average.Parameters()
	}
	return t.store.Parameters()
}
