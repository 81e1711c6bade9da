package sampler

import (
	"fmt"
	"sort"
)

// Renewal says which proposals go on to the next step; the others start again
// from fresh noise (Chen et al. 2022, box renewal).
type Renewal interface {
	// Keep marks the proposals of one picture that stay, by their best scores in [0,1].
	Keep(scores []float32) []bool
}

// NoRenewal lets every proposal go on. It needs no scores.
type NoRenewal struct{}

// Keep marks all.
func (NoRenewal) Keep(scores []float32) []bool {
	out := make([]bool, len(scores))
	for i := range out {
		out[i] = true
	}
	return out
}

// Threshold keeps the proposals whose best score exceeds it. The paper uses 0.5.
type Threshold float64

// Keep compares every score.
func (t Threshold) Keep(scores []float32) []bool {
	out := make([]bool, len(scores))
	for i, s := range scores {
		out[i] = float64(s) > float64(t)
	}
	return out
}

// Check refuses NaN.
func (t Threshold) Check() error {
	if t != t {
		return fmt.Errorf("sampler: renewal threshold %v", float64(t))
	}
	return nil
}

// TopFraction keeps this share, 0 to 1, of the proposals: those with the best scores.
type TopFraction float64

// Keep ranks the scores; of equal ones the earlier proposal stays.
func (f TopFraction) Keep(scores []float32) []bool {
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(a, b int) bool { return scores[order[a]] > scores[order[b]] })
	out := make([]bool, len(scores))
	for _, i := range order[:min(max(int(float64(f)*float64(len(scores))+0.5), 0), len(scores))] {
		out[i] = true
	}
	return out
}

// Check refuses shares outside of 0 to 1.
func (f TopFraction) Check() error {
	if !(f >= 0 && f <= 1) {
		return fmt.Errorf("sampler: renewal keeps a fraction %v: want 0 to 1", float64(f))
	}
	return nil
}
