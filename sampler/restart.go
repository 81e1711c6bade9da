package sampler

import "github.com/diffusioninst/go/torch"

// Restart forgets the state: x ← z with z ~ N(0,1). Every step is then a first look
// with fresh proposals, and several of them are no more than an ensemble. It is the
// baseline that a sampler with a gain from more steps has to beat.
type Restart struct{}

func (Restart) String() string { return "Restart" }

// Step draws the state anew.
func (Restart) Step(s *Step) (*torch.Tensor, error) { return s.Normal(), nil }
