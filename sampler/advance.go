package sampler

import (
	"context"
	"slices"

	"github.com/diffusioninst/go/torch"
)

// Advance returns the state at time next to which a run goes on from its first state x (B,N,D) at
// time t, of which the denoiser has made p, and the moment at which it would be evaluated: the sampler moves all proposals,
// and those that the renewal does not keep are replaced. noise draws what both need, denoise serves samplers
// that evaluate it again. c must be a result of WithDefaults.
func (c Config) Advance(ctx context.Context, x *torch.Tensor, p Prediction, t, next int, noise Noise, denoise Denoiser) (*torch.Tensor, Moment, error) {
	shape := x.Shape()
	r := &run{Config: c, scope: x.Scope(), device: x.Device(), shape: slices.Clone(shape), noise: noise, denoiser: denoise}
	var st state
	err := guard(func() (err error) {
		if err := r.check(p.Checks...); err != nil {
			return err
		}
		st, err = r.advance(ctx, 0, t, next, state{x: x, age: r.newborn()}, p)
		return err
	})
	if failed := r.failed(); failed != nil {
		return nil, Moment{}, failed
	}
	if err != nil {
		return nil, Moment{}, &StepError{c.Sampler.String(), 0, err}
	}
	return st.x, r.moment(1, next, st), nil
}
