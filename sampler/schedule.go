package sampler

import (
	"fmt"
	"math"
)

// Schedule is ᾱ_t for the times t = 0, 1, …: how much of the signal's variance is
// left after t+1 noising steps. It falls from almost 1 to almost 0. A state at time
// t is x_t = √ᾱ_t·x_0 + √(1−ᾱ_t)·ε with ε ~ N(0,1) (Ho et al. 2020).
type Schedule []float64

// Cosine is the schedule of Nichol and Dhariwal (2021) over a number of times:
// ᾱ ∝ cos²((t/T+s)/(1+s)·π/2) with s = 0.008 and every β at most 0.999.
func Cosine(times int) Schedule {
	const s = 0.008
	f := func(t int) float64 {
		c := math.Cos((float64(t)/float64(times) + s) / (1 + s) * math.Pi / 2)
		return c * c
	}
	out := make(Schedule, max(times, 0))
	product := 1.0
	for t := range out {
		beta := 1 - (f(t+1)/f(0))/(f(t)/f(0))
		product *= 1 - min(max(beta, 0), 0.999)
		out[t] = product
	}
	return out
}

// Linear is the schedule of Ho et al. (2020): β grows linearly from 1e-4 to 0.02,
// both scaled by 1000/times.
func Linear(times int) Schedule {
	out := make(Schedule, max(times, 0))
	scale := 1000 / float64(times)
	product := 1.0
	for t := range out {
		f := 0.0
		if times > 1 {
			f = float64(t) / float64(times-1)
		}
		product *= 1 - min(scale*(1e-4+f*(0.02-1e-4)), 0.999)
		out[t] = product
	}
	return out
}

// AlphaBar is ᾱ_t, and 1, no noise at all, before the first time.
func (s Schedule) AlphaBar(t int) float64 {
	if t < 0 {
		return 1
	}
	return s[t]
}

// Check refuses a schedule that is empty or does not fall strictly inside (0, 1).
func (s Schedule) Check() error {
	if len(s) == 0 {
		return fmt.Errorf("sampler: an empty schedule")
	}
	before := 1.0
	for t, a := range s {
		if !(a > 0 && a < before) {
			return fmt.Errorf("sampler: schedule: ᾱ is %v at time %d after %v: it must fall and stay above 0", a, t, before)
		}
		before = a
	}
	return nil
}

// Times spreads steps over the schedule: steps+1 times from the last, evenly
// spaced and truncated to whole numbers, ending with −1, the clean state.
func (s Schedule) Times(steps int) ([]int, error) {
	if steps < 1 || steps > len(s) {
		return nil, fmt.Errorf("sampler: %d steps: want 1 to %d", steps, len(s))
	}
	out := make([]int, steps+1)
	last := float64(len(s) - 1)
	for i := range out {
		// Counted from the lower end, as linspace(−1, last, steps+1) does.
		out[steps-i] = int(-1 + float64(i)*(last+1)/float64(steps))
	}
	return out, nil
}
