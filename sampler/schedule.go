package sampler

import (
	"fmt"
	"math"
)

// A Schedule holds ᾱ_t for the times t = 0, 1, …: the fraction of the signal's variance
// that is left after t+1 noising steps. It falls from almost 1 to almost 0. A state at time
// t is x_t = √ᾱ_t·x_0 + √(1−ᾱ_t)·ε with ε ~ N(0,1) (Ho et al. 2020).
type Schedule []float64

// AlphaBar returns ᾱ_t, which is 1 (no noise) for t < 0.
func (s Schedule) AlphaBar(t int) float64 {
	if t < 0 {
		return 1
	}
	return s[t]
}

// Alpha returns α_t = √ᾱ_t, the factor of the signal in a state.
func (s Schedule) Alpha(t int) float64 { return math.Sqrt(s.AlphaBar(t)) }

// Sigma returns σ_t = √(1−ᾱ_t), the factor of the noise in a state.
func (s Schedule) Sigma(t int) float64 { return math.Sqrt(1 - s.AlphaBar(t)) }

// Lambda returns λ_t = ln(α_t/σ_t), half the logarithm of the signal-to-noise ratio,
// which falls with t.
func (s Schedule) Lambda(t int) float64 {
	a := s.AlphaBar(t)
	return (math.Log(a) - math.Log1p(-a)) / 2
}

// least keeps 1/ᾱ and the logarithms of a schedule finite.
const least = 1e-300

// Check returns an error if s is empty or does not fall strictly inside of (0,1).
func (s Schedule) Check() error {
	if len(s) == 0 {
		return fmt.Errorf("sampler: an empty schedule")
	}
	before := 1.0
	for t, a := range s {
		if !(a >= least && a < before) {
			return fmt.Errorf("sampler: schedule: ᾱ is %v at time %d after %v: it must fall and stay above 0", a, t, before)
		}
		before = a
	}
	return nil
}
