package sampler

import "github.com/diffusioninst/go/torch"

// A Noise draws N(0,1) for a state of shape (B,N,D), on the CPU.
type Noise func(s *torch.Scope, shape []int) *torch.Tensor

// SeededNoise returns a Noise with one generator per picture, so that a picture's noise
// depends on its own seed only and not on the rest of the batch.
func SeededNoise(seeds ...uint64) Noise {
	generators := make([]*torch.Generator, len(seeds))
	for i, seed := range seeds {
		generators[i] = torch.NewGenerator(seed)
	}
	return func(s *torch.Scope, shape []int) *torch.Tensor {
		rows := make([]*torch.Tensor, len(generators))
		for i, g := range generators {
			rows[i] = s.Randn(g, torch.Float32, shape[1:]...)
		}
		return torch.Stack(rows, 0)
	}
}
