package nn

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/closetest"
	"github.com/diffusioninst/go/torch"
)

// Any numbers of channels give the results and gradients of float64, which LibTorch
// computes in another way, and in inference, with its own layout, the same results.
func TestConvolutionsOfAnyNumbersOfChannels(t *testing.T) {
	for _, c := range []struct{ kernel, in, out int }{
		{1, 24, 24}, {1, 32, 5}, {3, 3, 16}, {3, 8, 16}, {3, 24, 16}, {3, 24, 24}, {3, 32, 5}, {3, 40, 40}, {3, 32, 48}, {3, 64, 32},
		{5, 20, 12}, {7, 3, 24}, {7, 3, 32},
	} {
		for _, stride := range []int{1, 2} {
			t.Run(fmt.Sprint(c, stride), func(t *testing.T) {
				o := ConvOptions{Kernel: c.kernel, Stride: stride, Bias: true}
				build := func(p Path) func(x *torch.Tensor) *torch.Tensor { return NewConv2d(p, c.in, c.out, o).Forward }
				want := gradients(t, StoreOptions{DType: torch.Float64}, build, 2, c.in, 16, 18)
				got := gradients(t, StoreOptions{}, build, 2, c.in, 16, 18)
				require.Len(t, got, 4)
				for k := range want {
					require.Less(t, distance(got[k], want[k]), 1e-5*1e-5*distance(want[k], nil), k)
				}
				require.NoError(t, torch.Do(context.Background(), func(s *torch.Scope) error {
					st := NewStore(FromSeed(3), StoreOptions{Inference: true})
					defer st.Close()
					forward := build(st.Root())
					y := forward(s.Randn(torch.NewGenerator(1), torch.Float32, 2, c.in, 16, 18).ChannelsLast())
					closetest.Slices(t, want["y"], torch.Values[float64](y), 1e-4)
					return nil
				}))
			})
		}
	}
}

// In training, convolutions that can do with fewer multiplications do, if there are enough pixels.
func TestConvolutionsThatLearnFast(t *testing.T) {
	if !torch.WinogradFits(32, 48) {
		t.Skip("this processor has no vectors for it")
	}
	before := torch.Live()
	require.NoError(t, torch.Do(t.Context(), func(s *torch.Scope) error {
		for name, c := range map[string]struct {
			store   StoreOptions
			options ConvOptions
			in      int
			fast    bool
		}{
			"3×3":      {StoreOptions{DType: torch.Float32}, ConvOptions{Kernel: 3}, 32, true},
			"stride":   {StoreOptions{DType: torch.Float32}, ConvOptions{Kernel: 3, Stride: 2}, 32, false},
			"1×1":      {StoreOptions{DType: torch.Float32}, ConvOptions{}, 32, false},
			"channels": {StoreOptions{DType: torch.Float32}, ConvOptions{Kernel: 3}, 16, false},
			"float64":  {StoreOptions{DType: torch.Float64}, ConvOptions{Kernel: 3}, 32, false},
			"eager":    {StoreOptions{DType: torch.Float32, Eager: true}, ConvOptions{Kernel: 3}, 32, false},
		} {
			st := NewStore(FromSeed(3), c.store)
			conv := NewConv2d(st.Root(), c.in, 48, c.options)
			dtype := torch.Options{DType: c.store.DType, Device: torch.CPU}
			require.Equal(t, c.fast, conv.learnsFast(s.Zeros(dtype, 2, c.in, 16, 16), conv.Weight), name)
			require.False(t, conv.learnsFast(s.Zeros(dtype, 1, c.in, 16, 16), conv.Weight), name)
			st.Close()
		}
		return nil
	}))
	require.Equal(t, before, torch.Live())
}
