package sampler

import (
	"fmt"

	"github.com/diffusioninst/go/torch"
)

// DDIM is the sampler of Song et al. (arXiv 2010.02502): with a = ᾱ_t and b = ᾱ_next,
//
//	σ = η·√((1−a/b)(1−b)/(1−a))
//	x ← √b·x0 + √(1−b−σ²)·ε + σ·z,  z ~ N(0,1)
//
// Eta, 0 to 1: 0 is deterministic, 1 adds as much noise as DDPM does. The paper uses 1.
type DDIM struct{ Eta float64 }

func (d DDIM) String() string { return fmt.Sprintf("DDIM(η=%g)", d.Eta) }

// Check returns an error if Eta is outside of [0,1].
func (d DDIM) Check() error {
	if !(d.Eta >= 0 && d.Eta <= 1) {
		return fmt.Errorf("sampler: %v: want η from 0 to 1", d)
	}
	return nil
}

// Draws implements [Drawing].
func (d DDIM) Draws() int { return draws(d.Eta) }

// Step implements [Sampler].
func (d DDIM) Step(s *Step) (*torch.Tensor, error) {
	if err := s.check(d.Eta > 0, false); err != nil {
		return nil, err
	}
	a, b := s.Schedule.AlphaBar(s.T), s.Schedule.AlphaBar(s.Next)
	sigma := d.Eta * sqrt((1-a/b)*(1-b)/(1-a))
	x := s.X0.MulScalar(sqrt(b)).Add(s.Epsilon().MulScalar(sqrt(1 - b - sigma*sigma)))
	if sigma > 0 {
		x = x.Add(s.Normal().MulScalar(sigma))
	}
	return x, nil
}
