package sampler

import "github.com/diffusioninst/go/torch"

// Heun is Heun's method on the probability flow of Euler, second order (Karras et
// al. 2022, algorithm 1): a step of Euler, a second evaluation where it ends, and
// the step again with the mean of both slopes,
//
//	ỹ = y + (s'−s)·x0(x, t)
//	y ← y + (s'−s)·½(x0(x, t) + x0(x̃, t'))
//
// It is DPM-Solver++(2S) with its inner point at the step's end (Lu et al. 2022).
// Every step but the last evaluates the denoiser twice.
type Heun struct{}

func (Heun) String() string { return "Heun" }

// Step implements [Sampler].
func (Heun) Step(s *Step) (*torch.Tensor, error) {
	if err := s.check(false, true); err != nil {
		return nil, err
	}
	end, err := s.Denoise(s.Flow(s.X0), s.Next)
	if err != nil {
		return nil, err
	}
	return s.Flow(s.X0.Add(end).MulScalar(0.5)), nil
}
