package maskhead

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/modeltest"
	"github.com/diffusioninst/go/nn"
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

// Enlarged mask features lie where a finer stride's targets are sampled: pixel 2i+1 is a quarter
// of a coarse pixel beyond the centre of pixel i.
func TestUpsampledFeatures(t *testing.T) {
	modeltest.Do(t, func(s *torch.Scope) {
		var features [2]*torch.Tensor
		for i := range features {
			store := nn.NewStore(nn.FromSeed(1), nn.StoreOptions{Inference: true})
			defer store.Close()
			branch, err := NewBranch(store.Root(), 4, BranchConfig{Width: 8, Levels: 1, Upsample: i + 1})
			require.NoError(t, err)
			require.NoError(t, store.Err())
			level := s.Randn(torch.NewGenerator(3), torch.Float32, 1, 4, 6, 5)
			features[i] = branch.Forward([]*torch.Tensor{level})
		}
		require.Equal(t, []int{1, 8, 12, 10}, features[1].Shape())
		coarse, fine := torch.Values[float32](features[0]), torch.Values[float32](features[1])
		at := func(x []float32, w, row, column int) float64 { return float64(x[row*w+column]) }
		for row := range 5 {
			for column := range 4 {
				top := 0.75*at(coarse, 5, row, column) + 0.25*at(coarse, 5, row, column+1)
				bottom := 0.75*at(coarse, 5, row+1, column) + 0.25*at(coarse, 5, row+1, column+1)
				require.InDelta(t, 0.75*top+0.25*bottom, at(fine, 10, 2*row+1, 2*column+1), 1e-5)
			}
		}
		for _, factor := range []int{-1, 3, 16} {
			_, err := NewBranch(nn.NewStore(nn.FromSeed(1), nn.StoreOptions{}).Root(), 4, BranchConfig{Upsample: factor})
			require.ErrorContains(t, err, "1, 2, 4 or 8")
		}
	})
}
