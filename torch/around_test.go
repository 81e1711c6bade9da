package torch_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/modeltest"
	"github.com/diffusioninst/go/torch"
)

// Products with what follows them are what they are composed of: to the bit on the CPU.
func TestProductsWithWhatFollows(t *testing.T) {
	for _, device := range modeltest.Devices() {
		modeltest.Do(t, func(s *torch.Scope) {
			g := torch.NewGenerator(1)
			randn := func(shape ...int) *torch.Tensor { return s.Randn(g, torch.Float32, shape...).To(device) }
			same := func(want, got *torch.Tensor) {
				t.Helper()
				require.Equal(t, want.Shape(), got.Shape())
				far := got.Sub(want).Norm().Item() / want.Norm().Item()
				require.LessOrEqual(t, far, map[bool]float64{true: 1e-5}[device.IsCUDA()], device)
			}
			x, weight, bias, add := randn(2, 8, 9, 7), randn(12, 8, 3, 3), randn(12), randn(2, 12, 5, 4)
			conv := func() *torch.Tensor { return x.Conv2dOneDNN(weight, bias, [2]int{2, 2}, [2]int{1, 1}) }
			same(conv().Relu(), x.Conv2dReLU(weight, bias, nil, [2]int{2, 2}, [2]int{1, 1}))
			same(conv().Add(add).Relu(), x.Conv2dReLU(weight, bias, add, [2]int{2, 2}, [2]int{1, 1}))
			rows, matrix := randn(2, 5, 8), randn(12, 8)
			same(rows.LinearOneDNN(matrix, bias).Relu(), rows.LinearReLU(matrix, bias))
			same(rows.LinearOneDNN(matrix, nil).Relu(), rows.LinearReLU(matrix, nil))

			q, k, v := randn(2, 3, 5, 4), randn(2, 3, 6, 4), randn(2, 3, 6, 4)
			want := q.Matmul(k.Transpose(2, 3)).DivScalar(math.Sqrt(4)).Softmax(-1).Matmul(v)
			require.Less(t, torch.ScaledAttention(q, k, v).Sub(want).Norm().Item(), 1e-5*want.Norm().Item())
		})
	}
}

// What a stage of the decoder does in one launch each is what the operators are that it takes the place of.
func TestDecoderKernels(t *testing.T) {
	if torch.CUDADevices() == 0 {
		t.Skip("needs a GPU; the fake one runs it in TestLaunches of diffusioninst")
	}
	modeltest.DecoderKernels(t, torch.CUDA(0))
}

// What is for GPUs only says so.
func TestFusedForGPUsOnly(t *testing.T) {
	refused := func(says string, f func(s *torch.Scope)) {
		t.Helper()
		err := torch.Do(t.Context(), func(s *torch.Scope) error { f(s); return nil })
		var e *torch.Error
		require.ErrorAs(t, err, &e)
		require.ErrorContains(t, err, says)
	}
	zeros := func(s *torch.Scope, shape ...int) *torch.Tensor { return s.Zeros(torch.F32(torch.CPU), shape...) }
	refused("on a GPU", func(s *torch.Scope) {
		torch.LayerNormAround{Weight: zeros(s, 4), Bias: zeros(s, 4), Out: torch.Float32}.Forward(zeros(s, 2, 4))
	})
	refused("2048", func(s *torch.Scope) {
		torch.LayerNormAround{Weight: zeros(s, 4), Bias: zeros(s, 4), Out: torch.Float32}.Forward(zeros(s, 2, 2049))
	})
	refused("on a GPU", func(s *torch.Scope) {
		torch.BoxPrediction{
			Matrices: zeros(s, 1, 4, 4), Norms: zeros(s, 1, 2, 4), Delta: zeros(s, 4, 4), Bias: zeros(s, 4),
		}.Forward(zeros(s, 2, 4), zeros(s, 2, 4), false)
	})
	pyramid := torch.RoIAlignConfig{Scales: []float64{0.25}, Bins: 7, Samples: 2}
	refused("on a GPU", func(s *torch.Scope) {
		image := torch.From(s, []int64{0, 0})
		torch.RoIAlign([]*torch.Tensor{zeros(s, 1, 4, 5, 5)}, zeros(s, 2, 4), image, nil, pyramid)
	})
	refused("levels are only chosen by the boxes' sizes on a GPU", func(s *torch.Scope) {
		image, norms := torch.From(s, []int64{0, 0}), [4]*torch.Tensor{zeros(s, 2), zeros(s, 2), zeros(s, 4), zeros(s, 4)}
		torch.DynamicConvPooled([]*torch.Tensor{zeros(s, 1, 4, 5, 5)}, zeros(s, 2, 4), image, nil, zeros(s, 2, 16), norms, pyramid, 1e-5)
	})
	refused("", func(s *torch.Scope) {
		zeros(s, 1, 4, 3, 3).Conv2dReLU(zeros(s, 4, 5, 1, 1), nil, nil, [2]int{1, 1}, [2]int{})
	})
	refused("", func(s *torch.Scope) { zeros(s, 2, 3).LinearReLU(zeros(s, 4, 5), nil) })
}
