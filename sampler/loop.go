package sampler

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/diffusioninst/go/torch"
)

// A Prediction is what a denoiser computes from a noisy state.
type Prediction struct {
	X0     *torch.Tensor // (B,N,D) estimate of the clean state
	Scores *torch.Tensor // (B,N) best score of each proposal, 0 to 1; may be nil with NoRenewal
	Checks []Check       // of what the estimate was made from; may be nil
}

// A Moment is a point in a run at which the denoiser is called.
type Moment struct {
	Step  int  // counted from 0
	T     int  // time of the state
	Inner bool // a sampler's further evaluation within the step, whose detections do not count

	// Last (B,N,D) is the latest estimate of the clean state that the denoiser made of each proposal, for one that builds on it
	// (self-conditioning, Chen et al., arXiv 2208.04202): that of the step before or, if Inner, of the same step. It is nil if
	// there is none, at the first step and with Restart.
	Last *torch.Tensor
	// Known, bool (B,N), is which proposals Last is of: for those that have been renewed since it means nothing. nil is all.
	Known *torch.Tensor
}

// A Denoiser estimates the clean state from the noisy x (B,N,D).
type Denoiser func(at Moment, x *torch.Tensor) (Prediction, error)

// A StepError says at which step of which sampler a run failed, and wraps the cause.
type StepError struct {
	Sampler string
	Step    int // counted from 0
	Err     error
}

func (e *StepError) Error() string {
	return fmt.Sprintf("sampler: %s: step %d: %v", e.Sampler, e.Step, e.Err)
}

func (e *StepError) Unwrap() error { return e.Err }

// Run draws a state of the given shape (B,N,D), denoises it at every time of the grid,
// lets the sampler step and renews proposals in between, and returns the last estimate
// of the clean state, which belongs to s. The denoiser receives the state on the device;
// whatever else it makes in s is freed when the step ends.
//
// ctx is checked before every evaluation of the denoiser. A failure in a step, a panic
// with *torch.Error included, is a *StepError.
func (c Config) Run(ctx context.Context, s *torch.Scope, device torch.Device, shape []int, noise Noise, denoise Denoiser) (*torch.Tensor, error) {
	x0, checks, err := c.Enqueue(ctx, s, device, shape, noise, denoise)
	if err != nil || checks.answers == nil {
		return x0, err
	}
	if err := checks.read(); err != nil {
		return nil, err
	}
	checks.answers.Close()
	return x0, nil
}

// Enqueue does what Run does, and does not wait for a GPU: the caller reads the answers of the checks along with results of
// its own, and what follows from them with Pending.Err. A failure that is not of a check is an error at once.
func (c Config) Enqueue(ctx context.Context, s *torch.Scope, device torch.Device, shape []int, noise Noise, denoise Denoiser) (*torch.Tensor, *Pending, error) {
	c, err := c.WithDefaults()
	if err != nil {
		return nil, nil, err
	}
	times, err := c.Times()
	if err != nil {
		return nil, nil, err
	}
	if noise == nil || denoise == nil {
		return nil, nil, errors.New("sampler: Run needs a Noise and a Denoiser, one is nil")
	}
	r := &run{Config: c, scope: s, device: device, shape: shape, noise: noise, denoiser: denoise}
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	begin := s.Mark()
	if err := guard(func() error { return r.drawAhead(len(times)) }); err != nil {
		return nil, nil, &StepError{c.Sampler.String(), 0, err}
	}
	start := s.Mark()
	var st state
	for i, t := range times {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		r.step = i
		var p Prediction
		err := guard(func() (err error) {
			if i == 0 {
				st = state{x: r.draw(), age: r.newborn()}
			}
			if p, err = r.evaluate(r.moment(i, t, st), st.x); err != nil || i == len(times)-1 {
				return err
			}
			st, err = r.advance(ctx, i, t, times[i+1], st, p)
			return err
		})
		if err != nil {
			if failed := r.failed(); failed != nil {
				return nil, nil, failed // it was there before
			}
			return nil, nil, &StepError{c.Sampler.String(), i, err}
		}
		if i == len(times)-1 {
			checks := r.pending()
			if checks.answers == nil {
				s.Release(begin, p.X0)
			} else {
				s.Release(begin, p.X0, checks.answers)
			}
			return p.X0, checks, nil
		}
		s.Release(start, append(st.tensors(), r.open()...)...)
	}
	return nil, nil, nil // not reached: there is a step
}

// guard turns a panic with *torch.Error into an error.
func guard(f func() error) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case *torch.Error:
			err = r
		default:
			panic(r)
		}
	}()
	return f()
}

// run is what stays the same during one Run.
type run struct {
	Config
	scope    *torch.Scope
	device   torch.Device
	shape    []int
	noise    Noise
	denoiser Denoiser
	step     int
	checks   []pending
	drawn    []*torch.Tensor // by drawAhead, next first
}

// newborn are the ages of proposals that have seen no step.
func (r *run) newborn() *torch.Tensor {
	return r.scope.Zeros(torch.Options{DType: torch.Int64, Device: r.device}, r.shape[:2]...)
}

// evaluate asks the denoiser and checks its answer.
func (r *run) evaluate(at Moment, x *torch.Tensor) (Prediction, error) {
	p, err := r.denoiser(at, x)
	if err != nil {
		return p, err
	}
	if err := r.check(p.Checks...); err != nil {
		return p, err
	}
	if err := r.checkState("the denoiser's estimate", p.X0); err != nil {
		return p, err
	}
	if p.Scores != nil {
		return p, checkShape("the denoiser's scores", p.Scores, r.shape[:2])
	}
	return p, nil
}

// moment is that of a step's own evaluation.
func (r *run) moment(step, t int, st state) Moment {
	at := Moment{Step: step, T: t}
	if _, anew := r.Sampler.(Restart); !anew && len(st.past) > 0 {
		at.Last, at.Known = st.past[0].X0, st.known
	}
	return at
}

// inner is Step.Denoise; last is the step's own estimate.
func (r *run) inner(ctx context.Context, step, t int, x, last *torch.Tensor) (*torch.Tensor, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if t < 0 || t >= len(r.Schedule) {
		return nil, fmt.Errorf("denoising at time %d: the schedule's are 0 to %d", t, len(r.Schedule)-1)
	}
	if err := checkShape("the state to denoise", x, r.shape); err != nil {
		return nil, err
	}
	mark := r.scope.Mark()
	p, err := r.evaluate(Moment{Step: step, T: t, Inner: true, Last: last}, x)
	if err != nil {
		return nil, err
	}
	x0 := p.X0.ToDType(x.DType())
	r.scope.Release(mark, append(r.open(), x0)...)
	return x0, nil
}

func checkShape(what string, t *torch.Tensor, want []int) error {
	if t == nil {
		return fmt.Errorf("%s: there is none", what)
	}
	if got := t.Shape(); !slices.Equal(got, want) {
		return fmt.Errorf("%s has shape %v, not %v", what, got, want)
	}
	return nil
}
