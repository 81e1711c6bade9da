package torch

import (
	"context"
	"fmt"
	"math"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func needsInt8(t *testing.T) {
	t.Helper()
	if !HasInt8() {
		t.Skip("no AVX512-VNNI, or a LibTorch without convolutions of 8-bit numbers")
	}
}

// rounded is t in the numbers of a range.
func (r Int8Range) rounded(t *Tensor) *Tensor {
	zero := float64(r.Zero)
	return t.DivScalar(r.Step).AddScalar(zero+0.5).Floor().Clamp(0, 255).AddScalar(-zero).MulScalar(r.Step)
}

func greatest(x *Tensor) float64 { return x.Reshape(-1).Amax([]int{0}, false).Item() }

// A convolution of 8-bit numbers is that of rounded numbers in float64, rounded to the range of the result: to a step, since both round
// what lies between two steps. Channels that oneDNN pads are among them.
func TestInt8ConvolutionRounds(t *testing.T) {
	needsInt8(t)
	for _, c := range []struct{ in, out, kernel, stride int }{
		{3, 64, 7, 2}, {64, 64, 3, 1}, {64, 256, 1, 1}, {256, 64, 1, 2}, {96, 96, 3, 2}, {24, 40, 3, 1}, {5, 7, 3, 1}, {1, 1, 1, 1},
	} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			inDo(t, func(s *Scope) {
				g := NewGenerator(8)
				x := s.Randn(g, Float32, 2, c.in, 13, 18).AddScalar(0.7)
				weight, bias := s.Randn(g, Float32, c.out, c.in, c.kernel, c.kernel), s.Randn(g, Float32, c.out)
				stride, padding := [2]int{c.stride, c.stride}, [2]int{c.kernel / 2, c.kernel / 2}
				conv, positive := weight.NewInt8Convolution(bias, stride, padding, false), weight.NewInt8Convolution(bias, stride, padding, true)
				defer conv.Close()
				defer positive.Close()

				steps := weight.Abs().Reshape(c.out, -1).Amax([]int{1}, false).DivScalar(127).Reshape(-1, 1, 1, 1)
				in := NewInt8Range(-2, 3) // beyond which some numbers are clipped
				exact := in.rounded(x).ToDType(Float64).Conv2d(weight.Div(steps).AddScalar(0.5).Floor().Mul(steps).ToDType(Float64), bias.ToDType(Float64),
					stride[:], padding[:], []int{1, 1}, 1)
				most := greatest(exact.Abs())
				out := NewInt8Range(-most, most)
				apart := func(got, want *Tensor) float64 { return greatest(got.ToDType(Float64).Sub(want).Abs()) / out.Step }
				require.Less(t, apart(conv.Forward(x, in, out), out.rounded(exact)), 1.01)
				require.Less(t, apart(positive.Forward(x.ChannelsLast(), in, out), out.rounded(exact.Relu())), 1.01)
				add := s.Randn(g, Float32, exact.Shape()...).MulScalar(most)
				sum := conv.ForwardAdd(x, add, in, out)
				require.Less(t, apart(sum, out.rounded(exact).Add(add.ToDType(Float64)).Relu()), 1.01)
				require.Positive(t, greatest(sum))

				fresh := weight.NewInt8Convolution(bias, stride, padding, false)
				defer fresh.Close()
				part := x.Narrow(2, 2, 9).Narrow(0, 0, 1)
				require.Equal(t, Values[float32](fresh.Forward(part, in, out)), Values[float32](conv.Forward(part, in, out)), "after another size")
			})
		})
	}
}

// What stays in 8 bits between two convolutions is what would have been rounded to them again, whoever else uses them.
func TestInt8ConvolutionsKeepWhatIsBetween(t *testing.T) {
	needsInt8(t)
	var first, second *Int8Convolution // not used before the goroutines do
	in, between, out := NewInt8Range(-4, 4), NewInt8Range(0, 60), NewInt8Range(-900, 900)
	picture := func(s *Scope) *Tensor { return s.Randn(NewGenerator(10), Float32, 1, 32, 20, 30) }
	var want []float32
	inDo(t, func(s *Scope) {
		g, one, pad := NewGenerator(9), [2]int{1, 1}, [2]int{1, 1}
		weights := []*Tensor{s.Randn(g, Float32, 48, 32, 3, 3), s.Randn(g, Float32, 16, 48, 3, 3)}
		pack := func() (first, second *Int8Convolution) {
			return weights[0].NewInt8Convolution(nil, one, pad, true), weights[1].NewInt8Convolution(nil, one, pad, false)
		}
		a, b := pack()
		defer a.Close()
		defer b.Close()
		want = Values[float32](b.Forward(a.Forward(picture(s), in, between), between, out))
		first, second = pack()
	})
	defer first.Close()
	defer second.Close()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			require.NoError(t, Do(context.Background(), func(s *Scope) error {
				require.Equal(t, want, Values[float32](second.Forward(first.ForwardKept(picture(s), in, between), between, out)))
				return nil
			}))
		})
	}
	all.Wait()
}

func TestInt8RangesHoldZero(t *testing.T) {
	for _, c := range []struct {
		least, greatest float64
		want            Int8Range
	}{{0, 255, Int8Range{1, 0}}, {-255, 0, Int8Range{1, 255}}, {3, 51, Int8Range{0.2, 0}}, {-8, -5.1, Int8Range{8. / 255, 255}}, {-100, 155, Int8Range{1, 100}}} {
		require.Equal(t, c.want, NewInt8Range(c.least, c.greatest))
	}
	none := NewInt8Range(0, 0)
	require.Zero(t, none.Zero)
	require.False(t, math.IsInf(1/none.Step, 0))
}

func TestInt8ConvolutionRefusesWhatDoesNotFit(t *testing.T) {
	needsInt8(t)
	r := NewInt8Range(0, 1)
	zeros := func(s *Scope, shape ...int) *Tensor { return s.Zeros(F32(CPU), shape...) }
	for want, use := range map[string]func(s *Scope){
		"weight must be float32 (K,C,h,w)": func(s *Scope) { zeros(s, 4, 4).NewInt8Convolution(nil, [2]int{1, 1}, [2]int{}, false) },
		"bias must be float32 (K)":         func(s *Scope) { zeros(s, 4, 4, 1, 1).NewInt8Convolution(zeros(s, 3), [2]int{1, 1}, [2]int{}, false) },
		"x must be (B,C,H,W)": func(s *Scope) {
			c := zeros(s, 4, 4, 1, 1).NewInt8Convolution(nil, [2]int{1, 1}, [2]int{}, false)
			defer c.Close()
			c.Forward(zeros(s, 4, 4), r, r)
		},
		"x has what is not a number": func(s *Scope) {
			c := zeros(s, 4, 4, 1, 1).NewInt8Convolution(nil, [2]int{1, 1}, [2]int{}, false)
			defer c.Close()
			c.Forward(s.Full(math.NaN(), F32(CPU), 1, 4, 2, 2), r, r)
		},
		"must be float32 of the result's shape": func(s *Scope) {
			c := zeros(s, 4, 4, 1, 1).NewInt8Convolution(nil, [2]int{1, 1}, [2]int{}, false)
			defer c.Close()
			c.ForwardAdd(zeros(s, 1, 4, 2, 2), zeros(s, 1, 4, 2, 1), r, r)
		},
	} {
		require.ErrorContains(t, Do(context.Background(), func(s *Scope) error { use(s); return nil }), want)
	}
}
