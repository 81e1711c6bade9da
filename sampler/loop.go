package sampler

import (
	"context"
	"fmt"

	"github.com/diffusioninst/go/torch"
)

// Config is a way to sample. The zero value of a field means the paper's.
type Config struct {
	Schedule Schedule // nil is Cosine(1000)
	Sampler  Sampler  // nil is DDIM{Eta: 1}
	Steps    int      // 0 is 1; ignored where Times is set
	Times    []int    // descending times, −1 last; nil spreads Steps evenly over the schedule
	Renewal  Renewal  // nil is Threshold(0.5); see NoRenewal
	Float64  bool     // keep the state in float64 after the first step, as the reference does
}

// NoRenewal lets every proposal go on.
var NoRenewal Renewal = TopFraction(1)

// WithDefaults fills in the paper's values and refuses impossible ones.
func (c Config) WithDefaults() (Config, error) {
	if c.Schedule == nil {
		c.Schedule = Cosine(1000)
	}
	if c.Sampler == nil {
		c.Sampler = DDIM{Eta: 1}
	}
	if c.Renewal == nil {
		c.Renewal = Threshold(0.5)
	}
	if err := c.Schedule.Check(); err != nil {
		return c, err
	}
	if c.Times == nil {
		if c.Steps == 0 {
			c.Steps = 1
		}
		times, err := c.Schedule.Times(c.Steps)
		if err != nil {
			return c, err
		}
		c.Times = times
	}
	n := len(c.Times)
	if n < 2 || c.Times[0] >= len(c.Schedule) || c.Times[n-1] != -1 {
		return c, fmt.Errorf("sampler: times %v: want at least two, from below %d down to −1", c.Times, len(c.Schedule))
	}
	for i := 1; i < n; i++ {
		if c.Times[i] >= c.Times[i-1] {
			return c, fmt.Errorf("sampler: times %v do not descend", c.Times)
		}
	}
	c.Steps = n - 1
	return c, nil
}

// Prediction is what a denoiser makes of a noisy state.
type Prediction struct {
	X0     *torch.Tensor // (B,N,D) estimate of the clean state
	Scores *torch.Tensor // (B,N) best score of each proposal, 0 to 1, for the renewal
}

// Denoiser estimates the clean state from the state x (B,N,D) at time t. step counts from 0.
type Denoiser func(step, t int, x *torch.Tensor) (Prediction, error)

// StepError says at which step of which sampler sampling failed.
type StepError struct {
	Sampler string
	Step    int // counted from 0
	Err     error
}

func (e *StepError) Error() string {
	return fmt.Sprintf("sampler: %s: step %d: %v", e.Sampler, e.Step, e.Err)
}

func (e *StepError) Unwrap() error { return e.Err }

// Run samples: it draws a state of the given shape (B,N,D), denoises it at every
// time, lets the sampler step on, and renews proposals. The denoiser sees the state
// on the device. c must have gone through WithDefaults. ctx is checked before every step.
func (c Config) Run(ctx context.Context, s *torch.Scope, device torch.Device, shape []int64, noise Noise, denoise Denoiser) error {
	x := noise(s, shape).To(device)
	for i, t := range c.Times[:len(c.Times)-1] {
		if err := ctx.Err(); err != nil {
			return err
		}
		mark := s.Mark()
		p, err := denoise(i, t, x)
		if err != nil {
			return &StepError{c.Sampler.String(), i, err}
		}
		next := c.Times[i+1]
		if next < 0 {
			s.Release(mark)
			break
		}
		after, err := c.advance(s, x, p, t, next, noise)
		if err != nil {
			return &StepError{c.Sampler.String(), i, err}
		}
		x.Close()
		x = after
		s.Release(mark, x)
	}
	return nil
}

// advance steps the proposals that stay, which move to the front, and fills up
// with fresh ones.
func (c Config) advance(s *torch.Scope, x *torch.Tensor, p Prediction, t, next int, noise Noise) (*torch.Tensor, error) {
	shape := x.Shape()
	order, kept := c.order(torch.Values[float32](p.Scores), int(shape[0]), int(shape[1]))
	most := int64(0)
	for _, k := range kept {
		most = max(most, k)
	}
	index := torch.From(s, order, shape[0], shape[1], 1).To(x.Device()).Narrow(1, 0, most).Expand([]int64{-1, -1, shape[2]})
	draw := func() *torch.Tensor {
		z := noise(s, shape).To(x.Device())
		if c.Float64 {
			z = z.ToDType(torch.Float64)
		}
		return z
	}
	step := &Step{
		X: x.Gather(1, index), X0: p.X0.Gather(1, index), T: t, Next: next, Schedule: c.Schedule,
		Normal: func() *torch.Tensor { return draw().Narrow(1, 0, most) },
	}
	if c.Float64 {
		step.X, step.X0 = step.X.ToDType(torch.Float64), step.X0.ToDType(torch.Float64)
	}
	moved, err := c.Sampler.Step(step)
	if err != nil {
		return nil, err
	}
	if moved == nil {
		return nil, fmt.Errorf("the sampler returned no state")
	}
	if got, want := fmt.Sprint(moved.Shape()), fmt.Sprint(step.X.Shape()); got != want {
		return nil, fmt.Errorf("the sampler returned a state of shape %s, not %s", got, want)
	}
	if moved.IsFinite().All().Item() == 0 {
		return nil, fmt.Errorf("the sampler returned a state that is not finite")
	}
	fresh := draw()
	rows := s.Arange(most, torch.Options{DType: torch.Int64, Device: x.Device()}).Reshape([]int64{1, most, 1})
	stays := rows.Lt(torch.From(s, kept, shape[0], 1, 1).To(x.Device()))
	front := stays.Where(moved, fresh.Narrow(1, 0, most))
	return torch.Cat([]*torch.Tensor{front, fresh.Narrow(1, most, shape[1]-most)}, 1), nil
}

// order lists every picture's proposals, those that stay first, and how many stay.
func (c Config) order(scores []float32, pictures, proposals int) (order, kept []int64) {
	for b := range pictures {
		keep := c.Renewal.Keep(scores[b*proposals : (b+1)*proposals])
		var gone []int64
		n := int64(0)
		for i, k := range keep {
			if k {
				order = append(order, int64(i))
				n++
			} else {
				gone = append(gone, int64(i))
			}
		}
		order = append(order, gone...)
		kept = append(kept, n)
	}
	return order, kept
}
