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
		{1, 24, 24}, {1, 32, 5}, {3, 3, 16}, {3, 8, 16}, {3, 24, 16}, {3, 24, 24}, {3, 32, 5}, {3, 40, 40},
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
