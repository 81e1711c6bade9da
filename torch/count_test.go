package torch

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCount(t *testing.T) {
	require.NoError(t, Do(context.Background(), func(s *Scope) error {
		g := NewGenerator(1)
		x := s.Randn(g, Float32, 1, 16, 8, 8)
		last := x.ChannelsLast()
		filters := s.Randn(g, Float32, 32, 16, 3, 3).ChannelsLast()
		rows, weight, bias := s.Randn(g, Float32, 2, 50, 64), s.Randn(g, Float32, 16, 64), s.Randn(g, Float32, 16)
		left, right := s.Randn(g, Float32, 4, 5, 6), s.Randn(g, Float32, 4, 6, 7)
		one, pad := [2]int{1, 1}, [2]int{1, 1}

		for name, c := range map[string]struct {
			run  func()
			want Counts
		}{
			"nothing":                 {func() {}, Counts{}},
			"convolution":             {func() { last.Conv2dOneDNN(filters, nil, one, pad) }, Counts{FLOP: 2 * 64 * 32 * 16 * 9}},
			"another memory order":    {func() { x.Conv2dOneDNN(filters, nil, one, pad) }, Counts{FLOP: 2 * 64 * 32 * 16 * 9, Layouts: 1}},
			"LibTorch's":              {func() { last.Conv2d(filters, nil, one[:], pad[:], []int{1, 1}, 1) }, Counts{FLOP: 2 * 64 * 32 * 16 * 9}},
			"linear map":              {func() { rows.LinearOneDNN(weight, bias) }, Counts{FLOP: 2 * 100 * 16 * 64}},
			"linear map, LibTorch's":  {func() { rows.Linear(weight, bias) }, Counts{FLOP: 2 * 100 * 16 * 64}},
			"small products":          {func() { left.SmallBmm(right) }, Counts{FLOP: 2 * 4 * 5 * 6 * 7}},
			"products":                {func() { left.Bmm(right) }, Counts{FLOP: 2 * 4 * 5 * 6 * 7}},
			"a copy":                  {func() { last.Contiguous() }, Counts{Layouts: 1}},
			"a copy that is not made": {func() { x.Contiguous() }, Counts{}},
			"a sum":                   {func() { x.Add(x) }, Counts{}},
		} {
			got := Count(c.run)
			require.Equal(t, c.want.FLOP, got.FLOP, name)
			require.Equal(t, c.want.Layouts > 0, got.Layouts > 0, "%s: %d", name, got.Layouts)
		}
		require.Equal(t, int64(3), Count(func() { x.Add(x).Mul(x).Relu() }).Operators)
		const side = 1 << 10
		require.Equal(t, int64(4*side*side), Count(func() { s.Full(1, F32(CPU), side, side) }).Bytes)
		return nil
	}))
}

func TestPeakRate(t *testing.T) {
	require.Greater(t, PeakRate(), 1e8)
}
