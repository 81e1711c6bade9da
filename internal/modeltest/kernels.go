package modeltest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/torch"
)

// DecoderKernels compares what a stage of the decoder computes in one launch each on a GPU with the CPU's operators, in the sizes of the
// published models.
func DecoderKernels(t testing.TB, gpu torch.Device) {
	const d, width, heads, rows, n = 256, 64, 8, 5, 70
	Do(t, func(s *torch.Scope) {
		g := torch.NewGenerator(1)
		randn := func(shape ...int) *torch.Tensor { return s.Randn(g, torch.Float32, shape...) }
		on := func(tensors ...*torch.Tensor) (out []*torch.Tensor) {
			for _, x := range tensors {
				out = append(out, x.To(gpu))
			}
			return out
		}
		same := func(what string, want, got *torch.Tensor) {
			t.Helper()
			require.Equal(t, want.Shape(), got.Shape(), what)
			require.Less(t, got.To(torch.CPU).Sub(want).Abs().Flatten(0, -1).Amax([]int{0}, false).Item(), 1e-3, what)
		}

		c := torch.RoIAlignConfig{Scales: []float64{1. / 4, 1. / 8}, Bins: 7, Samples: 2}
		levels := []*torch.Tensor{randn(2, d, 50, 50), randn(2, d, 25, 25)}
		boxes := torch.From(s, []float32{10, 20, 60, 90, -5, -5, 30, 40, 150, 150, 210, 220, 3, 3, 4, 4, 20, 10, 170, 160}, rows, 4)
		image, level := torch.From(s, []int64{0, 1, 0, 1, 1}), torch.From(s, []int64{0, 0, 0, 0, 1})
		matrices := randn(rows, 2*d*width).MulScalar(0.1)
		norms := []*torch.Tensor{randn(width), randn(width), randn(d), randn(d)}
		pooled := torch.RoIAlign(levels, boxes, image, level, c)
		there, inputs := on(levels...), on(boxes, image, matrices)
		same("RoIAlign", pooled, torch.RoIAlign(there, inputs[0], inputs[1], nil, c))
		same("dynamic convolution", pooled.DynamicConv(matrices, [4]*torch.Tensor(norms), 1e-5),
			torch.DynamicConvPooled(there, inputs[0], inputs[1], nil, inputs[2], [4]*torch.Tensor(on(norms...)), c, 1e-5))

		qkv := randn(2, n, 3*d)
		same("attention", qkv.Attention(heads), qkv.To(gpu).Attention(heads))

		x, add, weight, bias := randn(n, d), randn(n, d), randn(d), randn(d)
		norm := func(x, weight, bias *torch.Tensor) *torch.Tensor { return x.LayerNorm([]int{d}, weight, bias, 1e-5) }
		parts := on(x, add, weight, bias, norms[2], norms[3])
		got, _ := torch.LayerNormAround{
			Weight: parts[2], Bias: parts[3], Inner: [2]*torch.Tensor{parts[4], parts[5]}, Eps: 1e-5, Residual: parts[1], Out: torch.Float32,
		}.Forward(parts[0])
		same("norms", norm(norm(x, norms[2], norms[3]).Relu().Add(add), weight, bias), got)

		layers, delta, shift := randn(3, d, d), randn(4, d).MulScalar(0.01), randn(4).MulScalar(0.1)
		from := torch.From(s, []float32{10, 20, 60, 90}, 1, 4).Expand(n, 4).Contiguous()
		y := x
		for i := range 3 {
			y = norm(y.Matmul(layers.Select(0, i)), weight, bias).Relu()
		}
		both := torch.Stack([]*torch.Tensor{weight, bias}, 0).Unsqueeze(0).Expand(3, 2, d).Contiguous()
		parts = on(layers, both, delta, shift, x, from)
		moved, features := torch.BoxPrediction{
			Matrices: parts[0], Norms: parts[1], Delta: parts[2], Bias: parts[3], Eps: 1e-5, CentreWeight: 2, Growth: 1,
		}.Forward(parts[4], parts[5], true)
		same("features", y, features)
		by := y.LinearOneDNN(delta, shift)
		size := from.Narrow(1, 2, 2).Sub(from.Narrow(1, 0, 2))
		centre := from.Narrow(1, 0, 2).Add(size.MulScalar(0.5)).Add(by.Narrow(1, 0, 2).MulScalar(0.5).Mul(size))
		half := by.Narrow(1, 2, 2).ClampMax(1).Exp().Mul(size).MulScalar(0.5)
		same("boxes", torch.Cat([]*torch.Tensor{centre.Sub(half), centre.Add(half)}, 1), moved)
	})
}
