package sampler

import (
	"fmt"
	"math"
)

// A Grid places the steps of a run on a schedule.
type Grid interface {
	// Times returns the times at which the state is denoised: as many as steps,
	// descending, each a time of the schedule. The last estimate is the clean state.
	Times(s Schedule, steps int) ([]int, error)
}

// LinearGrid spaces the times evenly: the whole parts of linspace(−1, T−1, steps+1)
// from above, without the last, for a schedule of T times. It is the paper's.
type LinearGrid struct{}

// Times implements [Grid].
func (LinearGrid) Times(s Schedule, steps int) ([]int, error) {
	if err := fits(s, steps); err != nil {
		return nil, err
	}
	out := make([]int, steps)
	for i := range out {
		out[steps-1-i] = int(-1 + float64(i+1)*float64(len(s))/float64(steps))
	}
	return out, nil
}

// QuadraticGrid puts more of the times at little noise: t = T·(i/steps)² − 1 for
// i = steps, …, 1 (Song et al. 2021, DDIM, appendix D.2, on the whole schedule).
type QuadraticGrid struct{}

// Times implements [Grid]. Times are rounded to integers, all different.
func (QuadraticGrid) Times(s Schedule, steps int) ([]int, error) {
	if err := fits(s, steps); err != nil {
		return nil, err
	}
	out := make([]int, steps)
	for i := range out {
		u := float64(steps-i) / float64(steps)
		out[i] = int(math.Round(float64(len(s))*u*u)) - 1
	}
	return separate(out, len(s)), nil
}

// KarrasGrid spaces the noise levels σ/α evenly in their ρ-th root (Karras et al.
// 2022, equation 5), which puts most of the times at little noise. A field that is zero
// has the authors' value; levels beyond the schedule's are clamped to it.
type KarrasGrid struct {
	Rho float64 // ρ; default 7
	Max float64 // highest σ/α; default 80
	Min float64 // lowest σ/α; default 0.002
}

// Times implements [Grid]. It returns the schedule's times nearest to the levels, all
// different.
func (g KarrasGrid) Times(s Schedule, steps int) ([]int, error) {
	if err := fits(s, steps); err != nil {
		return nil, err
	}
	for _, f := range []struct {
		field    *float64
		standard float64
	}{{&g.Rho, 7}, {&g.Max, 80}, {&g.Min, 0.002}} {
		if *f.field == 0 {
			*f.field = f.standard
		}
	}
	if !(g.Rho > 0 && g.Min > 0 && g.Max >= g.Min) || math.IsInf(g.Rho, 0) || math.IsInf(g.Max, 0) {
		return nil, fmt.Errorf("sampler: Karras grid %+v: want ρ > 0 and 0 < Min ≤ Max", g)
	}
	level := func(t int) float64 { return math.Exp(-s.Lambda(t)) }
	high, low := min(g.Max, level(len(s)-1)), max(g.Min, level(0))
	if high < low {
		return nil, fmt.Errorf("sampler: Karras grid %+v: the schedule's noise levels are %.3g to %.3g", g, level(0), level(len(s)-1))
	}
	from, to := math.Pow(high, 1/g.Rho), math.Pow(low, 1/g.Rho)
	out := make([]int, steps)
	t := len(s) - 1
	for i := range out {
		u := 0.0
		if steps > 1 {
			u = float64(i) / float64(steps-1)
		}
		want := -g.Rho * math.Log(from+u*(to-from))
		for t > 0 && math.Abs(s.Lambda(t-1)-want) <= math.Abs(s.Lambda(t)-want) {
			t--
		}
		out[i] = t
	}
	return separate(out, len(s)), nil
}

// Times is a Grid that lists its times, descending.
type Times []int

// Times implements [Grid]. It returns a copy of the list, and an error if the list is not
// as long as steps.
func (l Times) Times(_ Schedule, steps int) ([]int, error) {
	if steps != len(l) {
		return nil, fmt.Errorf("sampler: %d steps on a list of %d times", steps, len(l))
	}
	return append([]int{}, l...), nil
}

// fits returns an error if a schedule does not have as many different times as steps.
func fits(s Schedule, steps int) error {
	if steps < 1 || steps > len(s) {
		return fmt.Errorf("sampler: %d steps: want 1 to %d, the times of the schedule", steps, len(s))
	}
	return nil
}

// separate moves descending times below limit as little as needed to make them differ:
// down, and up again if there is no room below.
func separate(times []int, limit int) []int {
	for i := range times {
		times[i] = min(times[i], limit-1)
		if i > 0 {
			times[i] = min(times[i], times[i-1]-1)
		}
	}
	for i := range times {
		times[i] = max(times[i], len(times)-1-i)
	}
	return times
}

// checkTimes returns an error for times that a Grid must not return.
func checkTimes(times []int, s Schedule, steps int) error {
	if len(times) != steps {
		return fmt.Errorf("sampler: the grid gives %d times for %d steps", len(times), steps)
	}
	before := len(s)
	for _, t := range times {
		if t < 0 || t >= before {
			return fmt.Errorf("sampler: times %v: they must descend, from at most %d to at least 0", times, len(s))
		}
		before = t
	}
	return nil
}
