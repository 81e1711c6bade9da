package coco

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// brute is the greatest sum over all ways to assign rows to columns.
func brute(values [][]float64, row int, taken []bool, left int) float64 {
	if row == len(values) || left == 0 {
		return 0
	}
	most := math.Inf(-1)
	if len(values)-row > left {
		most = brute(values, row+1, taken, left)
	}
	for j, v := range values[row] {
		if !taken[j] {
			taken[j] = true
			most = max(most, v+brute(values, row+1, taken, left-1))
			taken[j] = false
		}
	}
	return most
}

func TestAssignmentIsTheBest(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		rows, columns := 1+r.IntN(5), 1+r.IntN(5)
		values := zeros(rows, columns)
		for i := range values {
			for j := range values[i] {
				if values[i][j] = float64(r.IntN(4)); r.IntN(2) == 0 {
					values[i][j] += r.Float64() - 2
				}
			}
		}
		sum, given := 0.0, map[int]bool{}
		for i, j := range assignment(values) {
			if j >= 0 {
				require.False(t, given[j])
				given[j] = true
				sum += values[i][j]
			}
		}
		require.Len(t, given, min(rows, columns))
		require.InDelta(t, brute(values, 0, make([]bool, columns), min(rows, columns)), sum, 1e-9, "%v", values)
	}
	require.Empty(t, assignment(nil))
}

// Greedy choices are wrong here: the best pair costs two others.
func TestAssignmentIsNotGreedy(t *testing.T) {
	require.Equal(t, []int{1, 0}, assignment([][]float64{{10, 9}, {9, 1}}))
	require.Equal(t, []int{-1, 0, -1}, assignment([][]float64{{1}, {3}, {2}}))
}
