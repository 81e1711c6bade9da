package sampler

import (
	"fmt"
	"math"

	"github.com/diffusioninst/go/torch"
)

// DPMSolver2M is DPM-Solver++(2M), second order with one evaluation per step, and
// its stochastic variants (Lu et al. 2022, DPM-Solver++, algorithm 2 and section 5).
// With λ = ln(α/σ), h = λ'−λ, and r the length of the step before over h,
//
//	D = x0 + (x0 − x0_before)/(2r)
//	x ← (σ'/σ)·e^(−ηh)·x + α'·(1−e^(−(1+η)h))·D + σ'·√(1−e^(−2ηh))·z,  z ~ N(0,1)
//
// Eta 0 solves the probability flow, 1 the reverse diffusion (SDE-DPM-Solver++(2M));
// values in between add less noise. A proposal without a previous step, because it is the
// first or it was renewed, uses D = x0, which is first order.
type DPMSolver2M struct{ Eta float64 }

func (d DPMSolver2M) String() string {
	if d.Eta == 0 {
		return "DPM-Solver++(2M)"
	}
	return fmt.Sprintf("SDE-DPM-Solver++(2M, η=%g)", d.Eta)
}

// Check returns an error if Eta is negative or not finite.
func (d DPMSolver2M) Check() error {
	if !(d.Eta >= 0) || math.IsInf(d.Eta, 0) {
		return fmt.Errorf("sampler: %v: want η of at least 0", d)
	}
	return nil
}

// Draws implements [Drawing].
func (d DPMSolver2M) Draws() int { return draws(d.Eta) }

// Step implements [Sampler].
func (d DPMSolver2M) Step(s *Step) (*torch.Tensor, error) {
	if err := s.check(d.Eta > 0, false); err != nil {
		return nil, err
	}
	lambda, sigma := s.Schedule.Lambda, s.Schedule.Sigma
	h := lambda(s.Next) - lambda(s.T)
	estimate := s.X0
	if len(s.Past) > 0 {
		before := s.Past[0]
		r := (lambda(s.T) - lambda(before.T)) / h
		estimate = estimate.Add(s.X0.Sub(before.X0).Mul(before.Known).DivScalar(2 * r))
	}
	x := s.X.MulScalar(sigma(s.Next) / sigma(s.T) * math.Exp(-d.Eta*h)).
		Add(estimate.MulScalar(-s.Schedule.Alpha(s.Next) * math.Expm1(-(1+d.Eta)*h)))
	if d.Eta > 0 {
		x = x.Add(s.Normal().MulScalar(sigma(s.Next) * sqrt(-math.Expm1(-2*d.Eta*h))))
	}
	return x, nil
}
