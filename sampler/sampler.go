package sampler

import (
	"math"

	"github.com/diffusioninst/go/torch"
)

// Sampler moves a noisy state towards the clean one. Its fields are configuration;
// it keeps nothing between steps and may be used by many runs at once.
type Sampler interface {
	// Step returns the state at time s.Next, of the same shape as s.X.
	Step(s *Step) (*torch.Tensor, error)
	// String names the sampler, for messages.
	String() string
}

// Checker is what samplers, grids and renewals may implement to refuse impossible
// settings before a run starts.
type Checker interface{ Check() error }

// Step is one move of the state from time T to the earlier time Next. The row (b,i)
// of the state is proposal i of picture b. Proposals that will be renewed come last
// in their picture; what the sampler makes of them is replaced. All tensors have
// the state's device and element type and end with the step.
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

// Past is what was known one or more steps before, of the proposals that X has now.
type Past struct {
	T     int
	X     *torch.Tensor // (B,N,D) the state at time T
	X0    *torch.Tensor // (B,N,D) the estimate made of it
	Known *torch.Tensor // (B,N,1) 1, and 0 where the proposal was renewed since: X and X0 mean nothing there
}

// Epsilon is the noise that X would contain if X0 were true:
// ε = (√(1/ᾱ)·x − x0)/√(1/ᾱ−1).
func (s *Step) Epsilon() *torch.Tensor {
	a := s.Schedule.AlphaBar(s.T)
	return s.X.MulScalar(sqrt(1 / a)).Sub(s.X0).DivScalar(sqrt(1/a - 1))
}

// Flow is the state at Next if x0 were the clean state all the way there: the
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
