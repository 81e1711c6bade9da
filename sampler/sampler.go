package sampler

import (
	"errors"
	"fmt"
	"math"

	"github.com/diffusioninst/go/torch"
)

// A Sampler moves a noisy state towards the clean one. Its fields are configuration: it
// keeps nothing between steps, so that many runs may use it at once.
type Sampler interface {
	// Step returns the state at time s.Next, in the shape, type and device of s.X.
	Step(s *Step) (*torch.Tensor, error)
	// String returns the sampler's name, for messages.
	String() string
}

// A Checker is a sampler, grid, renewal or schedule that can refuse impossible settings
// before a run starts.
type Checker interface{ Check() error }

// A Step is one move of the state from time T to the earlier time Next. The row (b,i)
// of the state is proposal i of picture b. Proposals that will be renewed come last
// in their picture; what the sampler makes of them is replaced. All tensors have
// the state's device and element type, and are freed when the step ends.
type Step struct {
	X        *torch.Tensor // (B,N,D) the state at time T
	X0       *torch.Tensor // (B,N,D) the denoiser's estimate of the clean state
	T, Next  int           // times of Schedule, T > Next ≥ 0
	Schedule Schedule
	Past     []Past // the steps before this one, latest first, at most three

	// Normal draws N(0,1) of X's shape.
	Normal func() *torch.Tensor
	// Denoise evaluates the denoiser once more: it estimates the clean state from any
	// state x of X's shape at any time t of Schedule. The estimate serves the sampler
	// only; detections are made from X0's evaluation.
	Denoise func(x *torch.Tensor, t int) (*torch.Tensor, error)
}

// A Past is what was known at an earlier step about the proposals that are in X now.
type Past struct {
	T     int
	X     *torch.Tensor // (B,N,D) the state at time T
	X0    *torch.Tensor // (B,N,D) the estimate made from it
	Known *torch.Tensor // (B,N,1) 1, or 0 for proposals renewed since, for which X and X0 mean nothing
}

// check returns an error if a sampler cannot take the step.
func (s *Step) check(normal, denoise bool) error {
	switch {
	case s == nil || s.X == nil || s.X0 == nil:
		return errors.New("sampler: a step without a state or an estimate")
	case s.Next < 0 || s.T <= s.Next || s.T >= len(s.Schedule):
		return fmt.Errorf("sampler: a step from time %d to %d of a schedule of %d times", s.T, s.Next, len(s.Schedule))
	case normal && s.Normal == nil, denoise && s.Denoise == nil:
		return errors.New("sampler: a step without Normal or Denoise, which the sampler needs")
	}
	return nil
}

// Epsilon returns the noise that X would contain if X0 were the clean state:
// ε = (√(1/ᾱ)·x − x0)/√(1/ᾱ−1).
func (s *Step) Epsilon() *torch.Tensor {
	a := s.Schedule.AlphaBar(s.T)
	return s.X.MulScalar(sqrt(1 / a)).Sub(s.X0).DivScalar(sqrt(1/a - 1))
}

// Flow returns the state at Next if x0 were the clean state all the way there: the
// solution of the probability flow d(x/σ)/d(α/σ) = x0 for a constant x0,
//
//	x ← (σ'/σ)·x + (α' − α·σ'/σ)·x0
//
// with the signal α' and the noise σ' at Next. Its factors are at most 1, however
// large the step.
func (s *Step) Flow(x0 *torch.Tensor) *torch.Tensor {
	ratio := s.Schedule.Sigma(s.Next) / s.Schedule.Sigma(s.T)
	return s.X.MulScalar(ratio).Add(x0.MulScalar(s.Schedule.Alpha(s.Next) - s.Schedule.Alpha(s.T)*ratio))
}

func sqrt(x float64) float64 { return math.Sqrt(max(x, 0)) }
