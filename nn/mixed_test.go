package nn

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/closetest"
	"github.com/diffusioninst/go/torch"
)

// gradients runs f over a fresh store and returns its result and the parameters'
// gradients, by name.
func gradients(t *testing.T, o StoreOptions, build func(p Path) func(x *torch.Tensor) *torch.Tensor, shape ...int) map[string][]float64 {
	t.Helper()
	out := map[string][]float64{}
	require.NoError(t, torch.Do(context.Background(), func(s *torch.Scope) error {
		st := NewStore(FromSeed(3), o)
		defer st.Close()
		f := build(st.Root())
		torch.WithGrad(func() {
			x := s.Randn(torch.NewGenerator(1), torch.Float32, shape...).ToDType(st.options.DType).SetRequiresGrad(true)
			y := f(x)
			weight := s.Randn(torch.NewGenerator(2), torch.Float32, y.Shape()...)
			y.Mul(weight.ToDType(y.DType())).ToDType(torch.Float32).Sum().Backward()
			out["y"], out["x"] = torch.Values[float64](y.Detach()), torch.Values[float64](x.Grad(s))
			for _, p := range st.Parameters() {
				if !p.Buffer {
					require.Equal(t, st.options.DType, p.Tensor.DType(), p.Name)
					require.Equal(t, st.options.DType, p.Tensor.Grad(s).DType(), p.Name)
					out[p.Name] = torch.Values[float64](p.Tensor.Grad(s))
				}
			}
		})
		return nil
	}))
	return out
}

var layers = map[string]struct {
	build func(p Path) func(x *torch.Tensor) *torch.Tensor
	shape []int
}{
	"linear": {func(p Path) func(x *torch.Tensor) *torch.Tensor {
		return NewLinear(p, 24, 10, LinearOptions{}).Forward
	}, []int{3, 7, 24}},
	"attention": {func(p Path) func(x *torch.Tensor) *torch.Tensor {
		return NewSelfAttention(p, 16, 4).Forward
	}, []int{2, 9, 16}},
	"convolution": {func(p Path) func(x *torch.Tensor) *torch.Tensor {
		return NewConv2d(p, 16, 32, ConvOptions{Kernel: 3, Stride: 2, Bias: true, ReLU: true}).Forward
	}, []int{2, 16, 9, 11}},
	"batch norm": {func(p Path) func(x *torch.Tensor) *torch.Tensor {
		c := NewConv2d(p, 16, 32, ConvOptions{Kernel: 3, Norm: BatchNorm, ReLU: true})
		c.Norm.Training = true
		return c.Forward
	}, []int{2, 16, 9, 11}},
	"convolutions of few channels among others": {func(p Path) func(x *torch.Tensor) *torch.Tensor {
		first := NewConv2d(p.Sub("first"), 16, 32, ConvOptions{})
		few := NewConv2d(p.Sub("few"), 32, 5, ConvOptions{Kernel: 3, ReLU: true})
		last := NewConv2d(p.Sub("last"), 5, 16, ConvOptions{})
		return func(x *torch.Tensor) *torch.Tensor { return last.Forward(few.Forward(first.Forward(x))) }
	}, []int{2, 16, 9, 11}},
	"fixed norm that learns its scale": {func(p Path) func(x *torch.Tensor) *torch.Tensor {
		c := NewConv2d(p, 16, 32, ConvOptions{Norm: BatchNorm, Stride: 2})
		c.Norm.Mean.FillInPlace(0.3)
		c.Norm.Variance.FillInPlace(2)
		return c.Forward
	}, []int{2, 16, 9, 11}},
}

// distance is the squared distance of a from b, where nil stands for zeros.
func distance(a, b []float64) (sum float64) {
	for i, v := range a {
		if b != nil {
			v -= b[i]
		}
		sum += v * v
	}
	return sum
}

// Mixed precision keeps parameters and their gradients in float32, and stays within
// bfloat16's rounding, 2⁻⁹ a number, of float32.
func TestMixedPrecisionTracksFloat32(t *testing.T) {
	if lacking := torch.CPU.CheckPrecision(t.Context(), torch.BFloat16); lacking != nil {
		t.Skip(lacking)
	}
	for name, l := range layers {
		t.Run(name, func(t *testing.T) {
			want := gradients(t, StoreOptions{}, l.build, l.shape...)
			got := gradients(t, StoreOptions{Compute: torch.BFloat16}, l.build, l.shape...)
			for k := range want {
				far := distance(got[k], want[k])
				require.Less(t, far, 0.05*0.05*distance(want[k], nil)+1e-12, k) // a ReLU may turn on or off
				require.NotZero(t, far, "%s: not computed in bfloat16", k)
			}
		})
	}
}

// A fixed norm is folded into its convolution; results and gradients equal those with a
// separate norm.
func TestFixedNormsFold(t *testing.T) {
	build := layers["fixed norm that learns its scale"].build
	apart := func(p Path) func(x *torch.Tensor) *torch.Tensor {
		build(p)
		find := func(name string) *torch.Tensor { return p.store.byName[name].Tensor }
		n := &Norm{Weight: find("norm.weight"), Bias: find("norm.bias"), Mean: find("norm.running_mean"), Variance: find("norm.running_var"), Eps: 1e-5}
		return func(x *torch.Tensor) *torch.Tensor {
			return n.Forward(x.Conv2d(find("weight"), nil, []int{2, 2}, []int{0, 0}, []int{1, 1}, 1))
		}
	}
	want := gradients(t, StoreOptions{DType: torch.Float64}, apart, 2, 16, 9, 11)
	got := gradients(t, StoreOptions{DType: torch.Float64}, build, 2, 16, 9, 11)
	require.Len(t, got, 5)
	for k := range want {
		closetest.Slices(t, want[k], got[k], 1e-12, k)
	}
}
