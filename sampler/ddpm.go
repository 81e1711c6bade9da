package sampler

import "github.com/diffusioninst/go/torch"

// DDPM is ancestral sampling (Ho et al. 2020, equations 6 and 7, for steps of any
// length): it draws from the posterior q(x_next | x_t, x0). With a = ᾱ_t, b = ᾱ_next,
//
//	μ  = √b·(1−a/b)/(1−a)·x0 + √(a/b)·(1−b)/(1−a)·x
//	σ² = (1−a/b)·(1−b)/(1−a)
//	x ← μ + σ·z,  z ~ N(0,1)
//
// It is DDIM with η = 1, written without the noise estimate.
type DDPM struct{}

func (DDPM) String() string { return "DDPM" }

// Draws implements [Drawing].
func (DDPM) Draws() int { return 1 }

// Step implements [Sampler].
func (DDPM) Step(s *Step) (*torch.Tensor, error) {
	if err := s.check(true, false); err != nil {
		return nil, err
	}
	a, b := s.Schedule.AlphaBar(s.T), s.Schedule.AlphaBar(s.Next)
	mean := s.X0.MulScalar(sqrt(b) * (1 - a/b) / (1 - a)).Add(s.X.MulScalar(sqrt(a/b) * (1 - b) / (1 - a)))
	return mean.Add(s.Normal().MulScalar(sqrt((1 - a/b) * (1 - b) / (1 - a)))), nil
}
