package train

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Totals are sums: totals of parts add up to the whole batch's, and so does what follows from them.
func TestTotalsAreSums(t *testing.T) {
	first := &matchedPairs{classes: []int64{3, 1}, total: 6}
	second := &matchedPairs{classes: []int64{1}, total: 3}
	whole := (&matchedPairs{classes: []int64{3, 1, 1}, total: 9}).totals(5)
	sum := first.totals(5)
	sum.add(second.totals(5))
	require.Equal(t, whole, sum)
	require.Equal(t, int64(3), sum.pairs())

	o := Objective{Federated: &Federated{Weights: []float32{1, 1, 1, 1, 1}, Classes: 2}}
	common := o.settle([]stageTotals{sum, {proposals: 9, matches: make([]int64, 5)}}, NewRandom(1))
	require.Equal(t, 3.0, common[0].divisor())
	require.Equal(t, []int64{1, 3}, common[0].classes)
	require.Equal(t, 1.0, common[1].divisor(), "a batch without pairs divides by 1")
	require.Len(t, common[1].classes, 1, "the background and one drawn class")
}
