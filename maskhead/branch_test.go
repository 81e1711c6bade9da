package maskhead

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/modeltest"
	"github.com/diffusioninst/go/torch"
)

// The fused kernel and LibTorch's operators agree, and so do their gradients.
func TestAlignedBilinear(t *testing.T) {
	for _, shape := range [][]int{{2, 16, 5, 7}, {1, 3, 1, 1}, {3, 130, 4, 2}, {1, 1, 8, 3}} {
		for _, factor := range []int{1, 2, 3, 4, 8} {
			for d, tolerance := range map[torch.DType]float64{torch.Float32: 1e-6, torch.Float64: 1e-14, torch.BFloat16: 8e-3} {
				t.Run(fmt.Sprint(shape, factor, d), func(t *testing.T) {
					modeltest.Do(t, func(s *torch.Scope) {
						g := torch.NewGenerator(4)
						x := s.Randn(g, torch.Float32, shape...).ToDType(d)
						weight := s.Randn(g, torch.Float32, shape[0], shape[1], shape[2]*factor, shape[3]*factor).ToDType(d)
						run := func(x, weight *torch.Tensor, f func(x *torch.Tensor, factor int) *torch.Tensor) (y, dx *torch.Tensor) {
							torch.WithGrad(func() {
								leaf := x.Detach().SetRequiresGrad(true)
								y = f(leaf, factor)
								y.Mul(weight).Sum().Backward()
								y, dx = y.Detach(), leaf.Grad(s)
							})
							return y.ToDType(torch.Float64), dx.ToDType(torch.Float64)
						}
						y, dx := run(x, weight, AlignedBilinear)
						exact := x.ToDType(torch.Float64)
						wantY, wantX := run(exact, weight.ToDType(torch.Float64), composedBilinear)
						require.Equal(t, wantY.Shape(), y.Shape())
						require.LessOrEqual(t, y.Sub(wantY).Norm().Item(), tolerance*wantY.Norm().Item())
						require.LessOrEqual(t, dx.Sub(wantX).Norm().Item(), tolerance*wantX.Norm().Item())
					})
				})
			}
		}
	}
}
