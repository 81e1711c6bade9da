package sampler

import "github.com/diffusioninst/go/torch"

// Euler is Euler's method on the probability flow, first order: with signal α and
// noise σ, y = x/σ and s = α/σ,
//
//	dy/ds = x0(x, t)
//	y ← y + (s'−s)·x0
//
// Karras et al. (2022, algorithm 1 without the correction) integrate the same flow
// as dx/dσ over σ/α. Both are DDIM with η = 0 in exact arithmetic, but σ/α is 2·10⁴
// at the paper's highest noise, where this form stays bounded.
type Euler struct{}

func (Euler) String() string { return "Euler" }

// Step implements [Sampler].
func (Euler) Step(s *Step) (*torch.Tensor, error) {
	if err := s.check(false, false); err != nil {
		return nil, err
	}
	return s.Flow(s.X0), nil
}
