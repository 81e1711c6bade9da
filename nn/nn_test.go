package nn_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/checkpoint"
	"github.com/diffusioninst/go/internal/modeltest"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// file is a checkpoint of float32 tensors.
func file(t *testing.T, tensors map[string][]float32, shapes map[string][]int) *nn.Checkpoint {
	t.Helper()
	var sources []checkpoint.Source
	for _, name := range slices.Sorted(maps.Keys(shapes)) {
		sources = append(sources, checkpoint.Source{Name: name, DType: checkpoint.Float32, Shape: checkpoint.Int64s(shapes[name]), WriteTo: func(w io.Writer) error {
			return binary.Write(w, binary.LittleEndian, tensors[name])
		}})
	}
	var buf bytes.Buffer
	require.NoError(t, checkpoint.WriteSafetensors(&buf, sources, map[string]string{"note": "of a test"}))
	f, err := nn.ReadCheckpoint(bytes.NewReader(buf.Bytes()), int64(buf.Len()))
	require.NoError(t, err)
	return f
}

func TestStoreReportsEverythingAtOnce(t *testing.T) {
	modeltest.Do(t, func(s *torch.Scope) {
		f := file(t, map[string][]float32{
			"a.weight": {1, 2}, "b.weight": {1, 2, 3}, "c.weight": {float32(math.NaN()), 1}, "extra": {1}, "n.num_batches_tracked": {1},
		}, map[string][]int{"a.weight": {2}, "b.weight": {3}, "c.weight": {2}, "extra": {1}, "n.num_batches_tracked": {1}})
		st := nn.NewStore(f.Source(), nn.StoreOptions{})
		defer st.Close()
		a := st.Root().Sub("a").Parameter("weight", nn.Constant(0), 2)
		st.Root().Sub("b").Parameter("weight", nn.Constant(0), 2)
		st.Root().Sub("c").Parameter("weight", nn.Constant(0), 2)
		st.Root().Sub("d", 0).Buffer("mean", nn.Constant(0), 2)
		require.Equal(t, []float32{1, 2}, torch.Values[float32](a))
		var e *nn.LoadError
		require.ErrorAs(t, st.Err(), &e)
		require.Equal(t, []string{"d.0.mean"}, e.Missing)
		require.Equal(t, []string{"extra"}, e.Unexpected)
		require.Equal(t, []nn.Mismatch{{"b.weight", []int{2}, []int{3}}}, e.Mismatched)
		require.ErrorIs(t, e, nn.ErrNotFinite)
		for _, line := range []string{"missing     d.0.mean", "unexpected  extra", "mismatched  b.weight: the model wants [2], the file has [3]", "unusable    c.weight: contains NaN"} {
			require.ErrorContains(t, e, line)
		}
	})
}

func TestStoreOfASeedIsReproducible(t *testing.T) {
	modeltest.Do(t, func(s *torch.Scope) {
		draw := func(seed uint64, order ...string) map[string][]float32 {
			st := nn.NewStore(nn.FromSeed(seed), nn.StoreOptions{})
			defer st.Close()
			out := map[string][]float32{}
			for _, name := range order {
				out[name] = torch.Values[float32](nn.NewLinear(st.Root().Sub(name), 3, 4, nn.LinearOptions{}).Weight)
			}
			require.NoError(t, st.Err())
			return out
		}
		require.Equal(t, draw(1, "a", "b"), draw(1, "b", "a"), "values do not depend on the order")
		require.NotEqual(t, draw(1, "a"), draw(2, "a"))
		require.NotEqual(t, draw(1, "a", "b")["a"], draw(1, "a", "b")["b"])
	})
}

func TestStorePanicsOnAParameterMadeTwice(t *testing.T) {
	modeltest.Do(t, func(s *torch.Scope) {
		st := nn.NewStore(nn.FromSeed(1), nn.StoreOptions{})
		defer st.Close()
		nn.NewLayerNorm(st.Root().Sub("n"), 3)
		require.PanicsWithValue(t, "nn: parameter n.weight is made twice (first as float32[3] cpu)", func() { nn.NewLayerNorm(st.Root().Sub("n"), 3) })
	})
}

func TestFoldedConvolutionEqualsTheUnfolded(t *testing.T) {
	for _, o := range []nn.ConvOptions{
		{Stride: 2, Norm: nn.FrozenNorm}, {Kernel: 3, Norm: nn.FrozenNorm, ReLU: true}, {Kernel: 3, Stride: 2, Norm: nn.BatchNorm}, {Bias: true, Norm: nn.BatchNorm, ReLU: true}, {Kernel: 7, Bias: true},
	} {
		modeltest.Do(t, func(s *torch.Scope) {
			x := s.Randn(torch.NewGenerator(3), torch.Float32, 2, 5, 17, 23)
			var out [2]*torch.Tensor
			for i, inference := range []bool{false, true} {
				st := nn.NewStore(anything{}, nn.StoreOptions{Inference: inference})
				c := nn.NewConv2d(st.Root().Sub("conv"), 5, 6, o)
				require.NoError(t, st.Err())
				require.Equal(t, inference || o.Norm == nn.NoNorm, c.Norm == nil)
				out[i] = c.Forward(x.Clone())
				st.Close()
			}
			require.Equal(t, out[0].Shape(), out[1].Shape())
			require.Less(t, out[0].Sub(out[1]).Norm().Item()/out[0].Norm().Item(), 1e-6)
		})
	}
}

// anything draws every parameter away from its usual start, variances above zero.
type anything struct{}

func (anything) Parameter(s *torch.Scope, name string, shape []int, _ nn.Init) (*torch.Tensor, error) {
	return s.Rand(torch.NewGenerator(uint64(len(name))), torch.Float32, shape...).AddScalar(0.1), nil
}

func (anything) Names() []string { return nil }

func TestSelfAttentionAgainstPlainSums(t *testing.T) {
	const b, n, d, heads = 2, 5, 12, 3
	modeltest.Do(t, func(s *torch.Scope) {
		st := nn.NewStore(nn.FromSeed(2), nn.StoreOptions{})
		defer st.Close()
		a := nn.NewSelfAttention(st.Root(), d, heads)
		x := s.Randn(torch.NewGenerator(1), torch.Float32, b, n, d)
		got := torch.Values[float64](a.Forward(x))

		in, w, bias := torch.Values[float64](x), torch.Values[float64](a.InWeight), torch.Values[float64](a.InBias)
		ow, ob := torch.Values[float64](a.Out.Weight), torch.Values[float64](a.Out.Bias)
		project := func(set, row, out int) float64 {
			sum := bias[out]
			for k := range d {
				sum += w[out*d+k] * in[(set*n+row)*d+k]
			}
			return sum
		}
		const size = d / heads
		for set := range b {
			for i := range n {
				var mixed [d]float64
				for h := range heads {
					var weight [n]float64
					total := 0.0
					for j := range n {
						dot := 0.0
						for k := range size {
							dot += project(set, i, h*size+k) * project(set, j, d+h*size+k)
						}
						weight[j] = math.Exp(dot / math.Sqrt(size))
						total += weight[j]
					}
					for j := range n {
						for k := range size {
							mixed[h*size+k] += weight[j] / total * project(set, j, 2*d+h*size+k)
						}
					}
				}
				for o := range d {
					want := ob[o]
					for k := range d {
						want += ow[o*d+k] * mixed[k]
					}
					require.InDelta(t, want, got[(set*n+i)*d+o], 1e-5)
				}
			}
		}
	})
}

func TestInitsHaveTheVarianceTheyPromise(t *testing.T) {
	modeltest.Do(t, func(s *torch.Scope) {
		for name, c := range map[string]struct {
			init nn.Init
			want float64
		}{
			"normal": {nn.Normal(0.3), 0.09}, "uniform": {nn.Uniform(0.6), 0.12},
			"xavier": {nn.XavierUniform, 2.0 / (100*9 + 50*9)}, "kaiming": {nn.KaimingNormal, 2.0 / (50 * 9)},
			"caffe": {nn.CaffeXavier, 1.0 / (100 * 9)}, "pytorch": {nn.KaimingUniform, 1.0 / (3 * 100 * 9)},
		} {
			x := c.init(s, torch.NewGenerator(1), []int{50, 100, 3, 3})
			require.InEpsilon(t, c.want, x.Mul(x).Mean().Item(), 0.03, name)
			require.InDelta(t, 0, x.Mean().Item(), 0.02, name)
		}
	})
}
