package nn

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/torch"
)

// The scale and shift of a norm that does not learn are computed once, and again when its tensors have changed.
func TestFixedNorms(t *testing.T) {
	for name, kind := range map[string]NormKind{"frozen": FrozenNorm, "batch norm that does not learn": BatchNorm} {
		t.Run(name, func(t *testing.T) {
			before := torch.Live()
			require.NoError(t, torch.Do(t.Context(), func(s *torch.Scope) error {
				st := NewStore(FromSeed(3), StoreOptions{})
				defer st.Close()
				c := NewConv2d(st.Root(), 16, 32, ConvOptions{Norm: kind})
				n := c.Norm
				for _, p := range st.Parameters()[1:] {
					p.Tensor.SetRequiresGrad(false)
				}
				x := s.Randn(torch.NewGenerator(1), torch.Float32, 2, 16, 5, 5)
				want := func() []float32 {
					scale, shift := n.parts(s, nil)
					y := x.Conv2dOneDNN(scale.Mul(c.Weight), shift, [2]int{1, 1}, [2]int{0, 0})
					return torch.Values[float32](y)
				}
				check := func() {
					t.Helper()
					require.Equal(t, want(), torch.Values[float32](c.Forward(x)))
				}
				check()
				operators := torch.Count(func() { c.Forward(x) }).Operators
				require.LessOrEqual(t, operators, int64(2), "the weight's scaling and the convolution")
				for _, p := range st.Parameters() {
					s.Adopt(p.Tensor).Detach().MulScalarInPlace(1.5)
					check()
				}
				torch.LerpAll([]*torch.Tensor{n.Mean}, []*torch.Tensor{n.Variance}, 0.5)
				check()
				average := NewEMA(st, 0.5)
				n.Bias.FillInPlace(7)
				check()
				average.Swap()
				check()
				average.Close()
				if kind == BatchNorm {
					n.Training = true
					c.Forward(x)
					n.Training = false
					check()
				}
				return nil
			}))
			require.Equal(t, before, torch.Live())
		})
	}
}
