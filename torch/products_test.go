package torch

import (
	"context"
	"fmt"
	"hash/fnv"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/closetest"
	"github.com/diffusioninst/go/internal/proctest"
)

// oneDNN's linear maps are the BLAS's, for channels that are whole vectors and others, for one row
// and for many, and with gradients.
func TestLinearOneDNNIsLinear(t *testing.T) {
	before := Live()
	for _, c := range []struct {
		shape []int
		out   int
		bias  bool
	}{
		{[]int{100, 64}, 32, true}, {[]int{7, 153}, 64, true}, {[]int{2, 50, 64}, 153, true}, {[]int{30, 17}, 4, false},
		{[]int{1, 256}, 80, true}, {[]int{64}, 3, true}, {[]int{2, 0, 16}, 8, true}, {[]int{2, 3, 4, 1}, 1, false},
	} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			require.NoError(t, Do(context.Background(), func(s *Scope) error {
				g := NewGenerator(5)
				x, weight := s.Randn(g, Float32, c.shape...), s.Randn(g, Float32, c.out, c.shape[len(c.shape)-1])
				var bias *Tensor
				if c.bias {
					bias = s.Randn(g, Float32, c.out)
				}
				got, want := x.LinearOneDNN(weight, bias), x.Linear(weight, bias)
				require.Equal(t, want.Shape(), got.Shape())
				closetest.Slices(t, Values[float32](want), Values[float32](got), 1e-4)
				closetest.Slices(t, Values[float64](x.ToDType(Float64).Linear(weight.ToDType(Float64), nil)),
					Values[float64](x.ToDType(Float64).LinearOneDNN(weight.ToDType(Float64), nil)), 0)
				WithGrad(func() {
					w := weight.Detach().SetRequiresGrad(true)
					x.LinearOneDNN(w, bias).Sum().Backward()
					got := w.Grad(s)
					w.ClearGrad()
					x.Linear(w, bias).Sum().Backward()
					closetest.Slices(t, Values[float32](w.Grad(s)), Values[float32](got), 0)
				})
				return nil
			}))
		})
	}
	require.Equal(t, before, Live())
}

// oneDNN's convolutions are LibTorch's own.
func TestConv2dOneDNNIsConv2d(t *testing.T) {
	for _, c := range []struct{ in, out, kernel, stride, side int }{
		{64, 32, 1, 1, 9}, {16, 48, 3, 2, 11}, {3, 64, 7, 2, 20}, {32, 16, 1, 2, 8}, {16, 16, 3, 1, 1},
	} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			require.NoError(t, Do(context.Background(), func(s *Scope) error {
				g := NewGenerator(5)
				x := s.Randn(g, Float32, 2, c.in, c.side, c.side+3)
				weight, bias := s.Randn(g, Float32, c.out, c.in, c.kernel, c.kernel), s.Randn(g, Float32, c.out)
				by, pad := [2]int{c.stride, c.stride}, [2]int{c.kernel / 2, c.kernel / 2}
				want := x.Conv2d(weight, bias, by[:], pad[:], []int{1, 1}, 1)
				for _, x := range []*Tensor{x, x.ChannelsLast()} {
					got := x.Conv2dOneDNN(weight, bias, by, pad)
					require.Equal(t, want.Shape(), got.Shape())
					closetest.Slices(t, Values[float32](want), Values[float32](got), 1e-3)
				}
				return nil
			}))
		})
	}
}

func TestProductsRefuseWhatDoesNotFit(t *testing.T) {
	err := Do(context.Background(), func(s *Scope) error {
		s.Zeros(Options{DType: Float32}, 2, 3).LinearOneDNN(s.Zeros(Options{DType: Float32}, 5, 4), nil)
		return nil
	})
	require.ErrorContains(t, err, "linear")
	err = Do(context.Background(), func(s *Scope) error {
		s.Zeros(Options{DType: Float32}, 1, 3, 4, 4).Conv2dOneDNN(s.Zeros(Options{DType: Float32}, 8, 4, 1, 1), nil, [2]int{1, 1}, [2]int{})
		return nil
	})
	require.ErrorContains(t, err, "conv2d")
}

// Whatever kernels OpenBLAS takes, the bits are the same: it is not asked.
func TestProductsDoNotAskTheBLAS(t *testing.T) {
	const child = "TORCH_TEST_PRODUCTS"
	if os.Getenv(child) != "" {
		h := fnv.New64a()
		require.NoError(t, Do(context.Background(), func(s *Scope) error {
			g := NewGenerator(5)
			x, y := s.Randn(g, Float32, 1, 64, 7, 9), s.Randn(g, Float32, 50, 64)
			fmt.Fprint(h, Values[float32](y.LinearOneDNN(s.Randn(g, Float32, 153, 64), nil)),
				Values[float32](y.View(5, 10, 64).SmallBmm(s.Randn(g, Float32, 5, 64, 30))),
				Values[float32](x.Conv2dOneDNN(s.Randn(g, Float32, 16, 64, 1, 1), nil, [2]int{1, 1}, [2]int{})))
			return nil
		}))
		fmt.Printf("sum %x\n", h.Sum64())
		return
	}
	var sums []string
	for _, core := range []string{"", "PRESCOTT", "HASWELL"} {
		cmd := proctest.Command(t, os.Args[0], "-test.run", "^TestProductsDoNotAskTheBLAS$")
		cmd.Env = append(os.Environ(), child+"=1", "OPENBLAS_CORETYPE="+core)
		_, rest, found := strings.Cut(string(proctest.Run(t, cmd)), "sum ")
		require.True(t, found)
		sum, _, _ := strings.Cut(rest, "\n")
		sums = append(sums, sum)
	}
	require.Equal(t, []string{sums[0], sums[0], sums[0]}, sums)
}
