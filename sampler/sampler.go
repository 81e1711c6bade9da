package sampler

import (
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

// Step is one move of the state from time T to the earlier time Next ≥ 0. The row
// (b,i) of the state is proposal i of picture b; rows are independent.
type Step struct {
	X        *torch.Tensor // (B,n,D) the state at time T
	X0       *torch.Tensor // (B,n,D) the denoiser's estimate of the clean state
	T, Next  int
	Schedule Schedule
	Normal   func() *torch.Tensor // draws N(0,1) of X's shape
}

// Epsilon is the noise that X would contain if X0 were true:
// ε = (√(1/ᾱ)·x − x0)/√(1/ᾱ−1).
func (s *Step) Epsilon() *torch.Tensor {
	a := s.Schedule.AlphaBar(s.T)
	return s.X.MulScalar(sqrt(1 / a)).Sub(s.X0).DivScalar(sqrt(1/a - 1))
}
