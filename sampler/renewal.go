package sampler

import (
	"fmt"
	"sort"

	"github.com/diffusioninst/go/torch"
)

// A Renewal decides which proposals continue in the next step; the others are replaced
// by fresh noise (box renewal, Chen et al., arXiv 2211.09788).
type Renewal interface {
	// Keep reports which proposals of one picture stay, given their best scores in [0,1].
	Keep(scores []float32) []bool
}

// A TensorRenewal is a Renewal that also decides where the scores are. Run then need not wait for a GPU in
// each step.
type TensorRenewal interface {
	Renewal
	// KeepTensor returns for scores (B,N) what Keep returns for each picture's, as bool (B,N).
	KeepTensor(scores *torch.Tensor) *torch.Tensor
}

// NoRenewal keeps every proposal. It needs no scores.
type NoRenewal struct{}

// Keep implements [Renewal].
func (NoRenewal) Keep(scores []float32) []bool {
	out := make([]bool, len(scores))
	for i := range out {
		out[i] = true
	}
	return out
}

// A Threshold keeps the proposals whose best score exceeds it. The paper's is 0.5.
type Threshold float64

// Keep implements [Renewal].
func (t Threshold) Keep(scores []float32) []bool {
	out := make([]bool, len(scores))
	for i, s := range scores {
		out[i] = float64(s) > float64(t)
	}
	return out
}

// KeepTensor implements [TensorRenewal].
func (t Threshold) KeepTensor(scores *torch.Tensor) *torch.Tensor {
	return scores.ToDType(torch.Float64).GtScalar(float64(t))
}

// Check returns an error if t is NaN.
func (t Threshold) Check() error {
	if t != t {
		return fmt.Errorf("sampler: renewal threshold %v: want a number", float64(t))
	}
	return nil
}

// A TopFraction keeps this fraction, 0 to 1, of the proposals: those with the best scores.
type TopFraction float64

// Keep implements [Renewal]. Of equal scores the earlier proposal stays.
func (f TopFraction) Keep(scores []float32) []bool {
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(a, b int) bool { return scores[order[a]] > scores[order[b]] })
	out := make([]bool, len(scores))
	for _, i := range order[:f.of(len(scores))] {
		out[i] = true
	}
	return out
}

// of returns how many of n proposals stay.
func (f TopFraction) of(n int) int { return min(max(int(float64(f)*float64(n)+0.5), 0), n) }

// KeepTensor implements [TensorRenewal].
func (f TopFraction) KeepTensor(scores *torch.Tensor) *torch.Tensor {
	n := scores.Size(1)
	place := scores.Scope().Arange(n, torch.Options{DType: torch.Int64, Device: scores.Device()})
	earlier := place.Unsqueeze(0).Lt(place.Unsqueeze(1))   // (N,N): column before row
	other, own := scores.Unsqueeze(1), scores.Unsqueeze(2) // (B,1,N), (B,N,1)
	better := other.Gt(own).LogicalOr(other.Eq(own).LogicalAnd(earlier))
	return better.SumDim([]int{2}, false).LtScalar(float64(f.of(n)))
}

// Check returns an error if f is outside of [0,1].
func (f TopFraction) Check() error {
	if !(f >= 0 && f <= 1) {
		return fmt.Errorf("sampler: renewal keeps a fraction %v: want 0 to 1", float64(f))
	}
	return nil
}
