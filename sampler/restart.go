package sampler

import "github.com/diffusioninst/go/torch"

// Restart forgets the state: x ← z with z ~ N(0,1). Every step then starts from fresh
// proposals, and several steps are an ensemble only. It is the baseline for samplers
// that claim to gain from more steps.
type Restart struct{}

func (Restart) String() string { return "Restart" }

// Draws implements [Drawing].
func (Restart) Draws() int { return 1 }

// Step implements [Sampler].
func (Restart) Step(s *Step) (*torch.Tensor, error) {
	if err := s.check(true, false); err != nil {
		return nil, err
	}
	return s.Normal(), nil
}
