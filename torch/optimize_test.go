package torch

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// everywhere are the types and devices of parameters, with the tolerances of float32 and
// float64.
func everywhere(single, double float64) map[Options]float64 {
	out := map[Options]float64{}
	for _, d := range devices() {
		out[Options{Float32, d}], out[Options{Float64, d}], out[Options{BFloat16, d}] = single, double, 1e-2
	}
	return out
}

// leaves are parameters of many sizes with gradients; parameters of an odd number have none.
func leaves(s *Scope, o Options) []*Tensor {
	g := NewGenerator(5)
	var out []*Tensor
	WithGrad(func() {
		for i, n := range []int{1, 40000, 7, 16384, 333} {
			p := s.Randn(g, Float32, n).ToDType(o.DType).To(o.Device).SetRequiresGrad(true)
			if i != 2 {
				p.Mul(p).MulScalar(0.5).Sum().Backward() // the gradient is p
			}
			out = append(out, p)
		}
	})
	return out
}

// A GPU and bfloat16 have no kernel and take LibTorch's operators: both ways must agree.
func TestClipGradNorm(t *testing.T) {
	before := Live()
	for o, tolerance := range everywhere(1e-6, 1e-12) {
		require.NoError(t, Do(context.Background(), func(s *Scope) error {
			list := leaves(s, o)
			want := 0.0
			for i, p := range list {
				if i != 2 {
					for _, v := range Values[float64](p.Detach()) {
						want += v * v
					}
				}
			}
			want = math.Sqrt(want)
			require.InEpsilon(t, want, ClipGradNorm(list, 0), tolerance)
			require.InEpsilon(t, want, ClipGradNorm(list, 2*want), tolerance)
			require.InEpsilon(t, want, ClipGradNorm(list, want/10), tolerance)
			require.InEpsilon(t, want/10, ClipGradNorm(list, 0), max(2*tolerance, 1e-7))
			require.InEpsilon(t, list[1].Detach().Norm().Item()/10, list[1].Grad(s).Norm().Item(), max(2*tolerance, 1e-7))
			require.Nil(t, list[2].Grad(s))
			list[3].Grad(s).Narrow(0, 99, 1).FillInPlace(math.NaN())
			require.True(t, math.IsNaN(ClipGradNorm(list, 1)))
			return nil
		}))
	}
	require.Equal(t, before, Live())
}

func TestLerpAll(t *testing.T) {
	for o, tolerance := range everywhere(1e-6, 1e-15) {
		require.NoError(t, Do(context.Background(), func(s *Scope) error {
			to := []*Tensor{s.Full(2, o, 50000), s.Full(-1, o, 3, 5)}
			LerpAll(to, []*Tensor{s.Full(6, o, 50000), s.Full(1, o, 3, 5)}, 0.25)
			for i, want := range []float64{3, -0.5} {
				require.InDelta(t, want, to[i].Flatten(0, -1).Amin([]int{0}, false).Item(), tolerance)
				if i == 0 {
					require.InDelta(t, want, to[i].Amax([]int{0}, false).Item(), tolerance)
				}
			}
			return nil
		}))
	}
	var e *Error
	require.ErrorAs(t, Do(context.Background(), func(s *Scope) error {
		LerpAll([]*Tensor{s.Zeros(F32(CPU), 2)}, []*Tensor{s.Zeros(F32(CPU), 3)}, 0.5)
		return nil
	}), &e)
}

func TestAddGrads(t *testing.T) {
	before := Live()
	for o, tolerance := range everywhere(1e-6, 1e-14) {
		require.NoError(t, Do(context.Background(), func(s *Scope) error {
			to, from := leaves(s, o), leaves(s, o)
			to[3].ClearGrad()
			AddGrads(to, from)
			for i, p := range to {
				require.Nil(t, from[i].Grad(s), "moved")
				if i == 2 {
					require.Nil(t, p.Grad(s), "no gradient in either")
					continue
				}
				want := p.Detach().MulScalar(2)
				if i == 3 {
					want = p.Detach()
				}
				require.LessOrEqual(t, p.Grad(s).Sub(want).Norm().Item(), tolerance*want.Norm().Item())
			}
			return nil
		}))
	}
	require.Equal(t, before, Live())
}
