package torch

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/closetest"
)

// Winograd's convolution is the convolution in float64: sizes that are not whole tiles, single
// pixels, channels that are not whole panels, batches, more tiles than a block.
func TestWinogradIsConv2d(t *testing.T) {
	before := Live()
	type shape struct{ b, in, out, h, w int }
	cases := []shape{
		{1, 32, 32, 1, 1}, {1, 32, 48, 4, 4}, {2, 48, 32, 5, 3}, {1, 96, 96, 13, 31}, {3, 64, 80, 9, 8}, {1, 32, 32, 1, 70},
		{1, 32, 32, 66, 1}, {1, 144, 64, 7, 6}, {1, 256, 32, 30, 41}, {2, 32, 64, 70, 69},
	}
	for _, c := range cases {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			if !WinogradFits(c.in, c.out) {
				t.Skip("this processor has no vectors for it")
			}
			require.NoError(t, Do(context.Background(), func(s *Scope) error {
				g := NewGenerator(7)
				x := s.Randn(g, Float32, c.b, c.in, c.h, c.w)
				weight := s.Randn(g, Float32, c.out, c.in, 3, 3).DivScalar(math.Sqrt(float64(9 * c.in)))
				bias, add := s.Randn(g, Float32, c.out), s.Randn(g, Float32, c.b, c.out, c.h, c.w)
				exact := func(b *Tensor) *Tensor {
					if b != nil {
						b = b.ToDType(Float64)
					}
					return x.ToDType(Float64).Conv2d(weight.ToDType(Float64), b, []int{1, 1}, []int{1, 1}, []int{1, 1}, 1)
				}
				convolve := func(x, bias, add *Tensor, relu bool) *Tensor {
					return x.Conv2dWinograd(weight.ChannelsLast().WinogradWeight(), c.out, bias, add, relu)
				}
				same := func(want, got *Tensor) {
					t.Helper()
					require.Equal(t, want.Shape(), got.Shape())
					far := Values[float64](got.ToDType(Float64).Sub(want).Norm())[0] / Values[float64](want.Norm())[0]
					require.Less(t, far, 3e-6)
					closetest.Slices(t, Values[float64](want), Values[float64](got.ToDType(Float64)), 1e-4)
				}
				for _, x := range []*Tensor{x, x.ChannelsLast()} {
					same(exact(nil), convolve(x, nil, nil, false))
					same(exact(bias), convolve(x, bias, nil, false))
					same(exact(bias).Relu(), convolve(x, bias, nil, true))
					same(exact(bias).Add(add.ToDType(Float64)).Relu(), convolve(x, bias, add, true))
				}
				return nil
			}))
		})
	}
	require.Equal(t, before, Live())
}

// Gradients are those of the convolution in float64, also where the input or the weight has none.
func TestWinogradLearns(t *testing.T) {
	before := Live()
	for _, c := range []struct{ b, in, out, h, w int }{{1, 32, 48, 4, 4}, {2, 48, 32, 5, 3}, {3, 64, 80, 9, 8}, {2, 32, 64, 70, 69}} {
		if !WinogradFits(c.in, c.out) {
			t.Skip("this processor has no vectors for it")
		}
		for _, learn := range []string{"x weight bias", "x weight", "weight bias", "x"} {
			t.Run(fmt.Sprintf("%+v %s", c, learn), func(t *testing.T) {
				require.NoError(t, Do(context.Background(), func(s *Scope) error {
					g := NewGenerator(7)
					given := map[string]*Tensor{
						"x": s.Randn(g, Float32, c.b, c.in, c.h, c.w), "bias": s.Randn(g, Float32, c.out),
						"weight": s.Randn(g, Float32, c.out, c.in, 3, 3).DivScalar(math.Sqrt(float64(9 * c.in))),
					}
					slope := s.Randn(g, Float32, c.b, c.out, c.h, c.w)
					in := func(dtype DType) (all map[string]*Tensor) {
						all = map[string]*Tensor{}
						for name, from := range given {
							all[name] = from.Clone().ToDType(dtype)
							all[name].SetRequiresGrad(strings.Contains(learn, name))
						}
						return all
					}
					exact, fast := in(Float64), in(Float32)
					if !strings.Contains(learn, "bias") && strings.Contains(learn, "weight") {
						exact["bias"], fast["bias"] = nil, nil
					}
					WithGrad(func() {
						want := exact["x"].Conv2d(exact["weight"], exact["bias"], []int{1, 1}, []int{1, 1}, []int{1, 1}, 1)
						got := fast["x"].Conv2dWinogradLearned(fast["weight"], fast["bias"])
						same := func(name string, want, got *Tensor) {
							t.Helper()
							require.Equal(t, want.Shape(), got.Shape(), name)
							require.Less(t, got.ToDType(Float64).Sub(want).Norm().Item()/want.Norm().Item(), 3e-6, name)
						}
						same("y", want.Detach(), got.Detach())
						want.Mul(slope.ToDType(Float64)).Sum().Backward()
						got.Mul(slope).Sum().Backward()
						for _, name := range strings.Fields(learn) {
							same(name, exact[name].Grad(s), fast[name].Grad(s))
						}
					})
					return nil
				}))
			})
		}
	}
	require.Equal(t, before, Live())
}

// A picture's convolution does not depend on the others of its batch, nor on how many threads share the tiles.
func TestWinogradOfABatchIsThatOfEach(t *testing.T) {
	if !WinogradFits(32, 48) {
		t.Skip("this processor has no vectors for it")
	}
	require.NoError(t, Do(context.Background(), func(s *Scope) error {
		g := NewGenerator(7)
		x, weight := s.Randn(g, Float32, 3, 32, 37, 22), s.Randn(g, Float32, 48, 32, 3, 3).WinogradWeight()
		all := x.Conv2dWinograd(weight, 48, nil, nil, false)
		for i := range 3 {
			require.Equal(t, Values[float32](all.Narrow(0, i, 1)), Values[float32](x.Narrow(0, i, 1).Conv2dWinograd(weight, 48, nil, nil, false)))
		}
		return nil
	}))
}

// NaN passes through the ReLU, as LibTorch's lets it.
func TestWinogradKeepsNaN(t *testing.T) {
	if !WinogradFits(32, 32) {
		t.Skip("this processor has no vectors for it")
	}
	require.NoError(t, Do(context.Background(), func(s *Scope) error {
		weight := s.Full(1, F32(CPU), 32, 32, 3, 3).WinogradWeight()
		y := s.Full(math.NaN(), F32(CPU), 1, 32, 4, 4).Conv2dWinograd(weight, 32, nil, nil, true)
		require.True(t, math.IsNaN(y.Sum().Item()))
		return nil
	}))
}

func TestWinogradRefusesWhatDoesNotFit(t *testing.T) {
	require.False(t, WinogradFits(3, 64))
	require.False(t, WinogradFits(64, 40))
	for says, f := range map[string]func(s *Scope){
		"(K,C,3,3)": func(s *Scope) { s.Zeros(F32(CPU), 32, 32, 1, 1).WinogradWeight() },
		"channels":  func(s *Scope) { s.Zeros(F32(CPU), 32, 3, 3, 3).WinogradWeight() },
		"weight is not": func(s *Scope) {
			s.Zeros(F32(CPU), 1, 32, 4, 4).Conv2dWinograd(s.Zeros(F32(CPU), 32, 32, 3, 3), 32, nil, nil, false)
		},
		"(B,C,H,W)": func(s *Scope) {
			s.Zeros(F32(CPU), 32, 4, 4).Conv2dWinograd(s.Zeros(F32(CPU), 1, 36, 32, 32), 32, nil, nil, false)
		},
		"the bias must be": func(s *Scope) {
			s.Zeros(F32(CPU), 1, 32, 4, 4).Conv2dWinograd(s.Zeros(F32(CPU), 1, 36, 32, 32), 32, s.Zeros(F32(CPU), 5), nil, false)
		},
		"what is added": func(s *Scope) {
			s.Zeros(F32(CPU), 1, 32, 4, 4).Conv2dWinograd(s.Zeros(F32(CPU), 1, 36, 32, 32), 32, nil, s.Zeros(F32(CPU), 1, 32, 4, 1), false)
		},
	} {
		if !WinogradFits(32, 32) && says != "(K,C,3,3)" && says != "channels" && says != "(B,C,H,W)" {
			continue
		}
		err := Do(context.Background(), func(s *Scope) error { f(s); return nil })
		require.ErrorContains(t, err, says)
	}
}

// BenchmarkWinograd is convolutions of the paper's ResNet-50 and of the built-in model.
func BenchmarkWinograd(b *testing.B) {
	for _, c := range []struct{ channels, h, w int }{{64, 200, 304}, {128, 100, 152}, {256, 50, 76}, {256, 200, 304}, {512, 25, 38}, {96, 64, 64}, {96, 16, 16}} {
		b.Run(fmt.Sprintf("%d/%dx%d", c.channels, c.h, c.w), func(b *testing.B) {
			if !WinogradFits(c.channels, c.channels) {
				b.Skip("this processor has no vectors for it")
			}
			require.NoError(b, Do(context.Background(), func(s *Scope) error {
				g := NewGenerator(1)
				x := s.Randn(g, Float32, 1, c.channels, c.h, c.w).ChannelsLast()
				weight := s.Randn(g, Float32, c.channels, c.channels, 3, 3).WinogradWeight()
				for b.Loop() {
					x.Conv2dWinograd(weight, c.channels, nil, nil, true).Close()
				}
				flop := 18 * float64(c.channels*c.channels*c.h*c.w) * float64(b.N)
				b.ReportMetric(flop/b.Elapsed().Seconds()/1e9, "GFLOP/s")
				return nil
			}))
		})
	}
}
