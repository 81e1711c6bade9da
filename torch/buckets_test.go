package torch

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

// Buckets are handed over while the backward pass goes on, last parameters first, and become the gradients.
func TestBuckets(t *testing.T) {
	if CUDADevices() == 0 {
		t.Skip("no GPU here")
	}
	before := Live()
	require.NoError(t, Do(context.Background(), func(s *Scope) error {
		like := Options{Float64, CUDA(0)}
		var leaves []*Tensor
		for i := range 4 {
			leaves = append(leaves, s.Full(float64(i+1), like, 2, 3).SetRequiresGrad(i != 2)) // the third does not learn
		}
		var given []Bucket
		var failed error
		b := NewBuckets(leaves, 2*6*8, func(b Bucket) error {
			given = append(given, b)
			return failed
		})
		defer b.Close()
		require.Equal(t, 2, b.Len())
		backward := func(of ...*Tensor) {
			WithGrad(func() {
				sum := of[0].Mul(of[0])
				for _, p := range of[1:] {
					sum = sum.Add(p.Mul(p))
				}
				sum.Sum().Backward()
			})
		}
		backward(leaves...)
		require.Empty(t, given, "without Arm")
		b.Arm()
		backward(leaves...) // a second pass, whose gradients are added
		require.Len(t, given, 2, "before Rest")
		b.Rest()
		require.Equal(t, []int{12, 6}, []int{given[0].Elements, given[1].Elements})
		require.Equal(t, CUDA(0), given[0].Device)
		require.Equal(t, Float64, given[0].DType)
		require.True(t, given[0].Address != 0 && given[0].Stream != 0)
		for !b.Done() {
		}
		b.Store([]int{0, 1, 3})
		for i, want := range map[int]float64{0: 4, 1: 8, 3: 16} {
			require.Equal(t, []float64{want, want, want, want, want, want}, Values[float64](leaves[i].Grad(s)), "%d", i)
		}
		for _, p := range leaves {
			p.ClearGrad()
		}

		given = nil
		b.Arm()
		backward(leaves[1], leaves[3]) // the first has no gradient: zeros
		require.Len(t, given, 1)
		failed = errors.New("rank 2 is lost")
		func() {
			defer func() { require.ErrorContains(t, recover().(error), "rank 2 is lost") }()
			b.Rest()
		}()
		require.Len(t, given, 2)
		b.Store([]int{0, 3})
		require.Equal(t, make([]float64, 6), Values[float64](leaves[0].Grad(s)))
		require.Equal(t, 8.0, Values[float64](leaves[3].Grad(s))[0])
		return nil
	}))
	require.Equal(t, before, Live())
}
