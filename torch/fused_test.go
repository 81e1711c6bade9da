package torch

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// far is the largest difference of two tensors relative to the largest element.
func far(got, want *Tensor) float64 {
	return got.Sub(want).Abs().Flatten(0, got.Dim()-1).Amax([]int{0}, false).Item() / want.Abs().Flatten(0, want.Dim()-1).Amax([]int{0}, false).Item()
}

func TestDynamicConvIsItsComposition(t *testing.T) {
	before := Live()
	for _, c := range []struct{ r, bins, d, w int }{{9, 49, 96, 16}, {3, 49, 256, 64}, {1, 1, 16, 16}, {5, 7, 32, 48}} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			require.NoError(t, Do(context.Background(), func(s *Scope) error {
				g := NewGenerator(3)
				rois, matrices := s.Randn(g, Float32, c.r, c.bins, c.d), s.Randn(g, Float32, c.r, 2*c.d*c.w)
				norms := [4]*Tensor{s.Randn(g, Float32, c.w), s.Randn(g, Float32, c.w), s.Randn(g, Float32, c.d), s.Randn(g, Float32, c.d)}
				x := rois.Bmm(matrices.Narrow(1, 0, c.d*c.w).Reshape(-1, c.d, c.w)).LayerNorm([]int{c.w}, norms[0], norms[1], 1e-5).Relu()
				x = x.Bmm(matrices.Narrow(1, c.d*c.w, c.d*c.w).Reshape(-1, c.w, c.d)).LayerNorm([]int{c.d}, norms[2], norms[3], 1e-5).Relu()
				got := rois.DynamicConv(matrices, norms, 1e-5)
				require.Equal(t, x.Shape(), got.Shape())
				require.Less(t, far(got, x), 2e-6)

				low := func(x *Tensor) *Tensor { return x.ToDType(BFloat16) }
				lows := [4]*Tensor{low(norms[0]), low(norms[1]), low(norms[2]), low(norms[3])}
				narrow := low(rois).DynamicConv(low(matrices), lows, 1e-5)
				require.Equal(t, BFloat16, narrow.DType())
				exact := func(x *Tensor) *Tensor { return low(x).ToDType(Float32) }
				want := exact(rois).DynamicConv(exact(matrices), [4]*Tensor{exact(norms[0]), exact(norms[1]), exact(norms[2]), exact(norms[3])}, 1e-5)
				require.Equal(t, Values[float32](exact(want)), Values[float32](narrow.ToDType(Float32)), "only what is read and written is rounded")

				rois.Narrow(0, 0, 1).FillInPlace(math.NaN())
				broken := Values[float32](rois.DynamicConv(matrices, norms, 1e-5))
				require.True(t, math.IsNaN(float64(broken[0])), "what is not a number stays")
				require.False(t, c.r > 1 && math.IsNaN(float64(broken[len(broken)-1])))
				return nil
			}))
		})
	}
	require.Equal(t, before, Live())
}

func TestDynamicConvRefusesWhatDoesNotFit(t *testing.T) {
	for _, c := range []struct{ r, d, w, of, norm int }{{2, 16, 16, 3, 16}, {2, 15, 16, 2, 16}, {2, 16, 8, 2, 8}, {2, 16, 16, 2, 32}} {
		var e *Error
		require.ErrorAs(t, Do(context.Background(), func(s *Scope) error {
			zeros := func(shape ...int) *Tensor { return s.Zeros(F32(CPU), shape...) }
			zeros(c.r, 49, c.d).DynamicConv(zeros(c.of, 2*c.d*c.w), [4]*Tensor{zeros(c.norm), zeros(c.norm), zeros(c.d), zeros(c.d)}, 1e-5)
			return nil
		}), &e, "%+v", c)
	}
}

func TestDynamicConvPooledIsItsParts(t *testing.T) {
	inDo(t, func(s *Scope) {
		const d, w = 32, 16
		g, c := NewGenerator(6), RoIAlignConfig{Scales: []float64{1. / 4, 1. / 8}, Bins: 7, Samples: 2}
		levels := []*Tensor{s.Randn(g, Float32, 2, d, 20, 24), s.Randn(g, Float32, 2, d, 10, 12)}
		boxes := From(s, []float32{3, 2, 40, 30, -50, -50, 10, 60, 1, 1, 80, 90, 200, 200, 210, 210, 5, 5, 5, 5}, 5, 4)
		image, level := From(s, []int64{0, 1, 1, 0, 0}), From(s, []int64{0, 0, 1, 0, 0})
		matrices := s.Randn(g, Float32, 5, 2*d*w)
		norms := [4]*Tensor{s.Randn(g, Float32, w), s.Randn(g, Float32, w), s.Randn(g, Float32, d), s.Randn(g, Float32, d)}
		want := RoIAlign(levels, boxes, image, level, c).DynamicConv(matrices, norms, 1e-5)
		require.Equal(t, Values[float32](want), Values[float32](DynamicConvPooled(levels, boxes, image, level, matrices, norms, c, 1e-5)))

		for i, l := range levels {
			levels[i] = l.ToDType(BFloat16)
		}
		low := DynamicConvPooled(levels, boxes, image, level, matrices.ToDType(BFloat16), norms, c, 1e-5)
		for i, l := range levels {
			levels[i] = l.ToDType(Float32)
		}
		want = DynamicConvPooled(levels, boxes, image, level, matrices.ToDType(BFloat16).ToDType(Float32), norms, c, 1e-5).ToDType(BFloat16)
		require.Less(t, far(low.ToDType(Float32), want.ToDType(Float32)), 1e-2, "what is pooled is not rounded")
	})
}

func TestAttentionIsItsComposition(t *testing.T) {
	before := Live()
	for _, c := range []struct{ b, n, heads, size int }{{2, 400, 6, 16}, {1, 1, 1, 1}, {3, 57, 2, 32}, {1, 113, 3, 5}, {2, 16, 4, 20}} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			require.NoError(t, Do(context.Background(), func(s *Scope) error {
				d := c.heads * c.size
				qkv := s.Randn(NewGenerator(4), Float32, c.b, c.n, 3*d).MulScalar(3)
				split := qkv.Reshape(c.b, c.n, 3, c.heads, c.size).Permute(2, 0, 3, 1, 4).Reshape(3, c.b*c.heads, c.n, c.size)
				q, k, v := split.Select(0, 0), split.Select(0, 1), split.Select(0, 2)
				want := q.DivScalar(math.Sqrt(float64(c.size))).Bmm(k.Transpose(1, 2)).Softmax(-1).Bmm(v).
					Reshape(c.b, c.heads, c.n, c.size).Transpose(1, 2).Reshape(c.b, c.n, d)
				got := qkv.Attention(c.heads)
				require.Equal(t, want.Shape(), got.Shape())
				require.Less(t, far(got, want), 2e-6)

				qkv.Narrow(1, 0, 1).FillInPlace(math.NaN())
				for _, y := range Values[float32](qkv.Attention(c.heads)) {
					require.True(t, math.IsNaN(float64(y)), "what is not a number is seen by all")
				}
				return nil
			}))
		})
	}
	require.Equal(t, before, Live())
}

func TestAttentionRefusesWhatDoesNotFit(t *testing.T) {
	for _, c := range []struct {
		shape []int
		heads int
	}{{[]int{1, 4, 10}, 2}, {[]int{4, 12}, 2}, {[]int{1, 4, 12}, 0}, {[]int{1, 0, 12}, 2}} {
		var e *Error
		require.ErrorAs(t, Do(context.Background(), func(s *Scope) error {
			s.Zeros(F32(CPU), c.shape...).Attention(c.heads)
			return nil
		}), &e, "%+v", c)
	}
}

// BenchmarkDynamicConvPooled is one stage of the built-in model for a small picture, and of the paper's for a large one.
func BenchmarkDynamicConvPooled(b *testing.B) {
	for name, size := range map[string]struct{ boxes, channels, width, side int }{
		"nuclei":    {400, 96, 16, 256},
		"ResNet-50": {500, 256, 64, 1024},
	} {
		b.Run(name, func(b *testing.B) {
			require.NoError(b, Do(context.Background(), func(s *Scope) error {
				g := NewGenerator(1)
				var levels []*Tensor
				for _, stride := range []int{4, 8, 16, 32} {
					levels = append(levels, s.Randn(g, Float32, 1, size.channels, size.side/stride, size.side/stride).ChannelsLast())
				}
				corner := s.Rand(g, Float32, size.boxes, 2).MulScalar(0.8 * float64(size.side))
				sides := s.Rand(g, Float32, size.boxes, 2).MulScalar(0.15 * float64(size.side))
				boxes := Cat([]*Tensor{corner, corner.Add(sides)}, 1)
				first := s.Zeros(Options{Int64, CPU}, size.boxes)
				matrices := s.Randn(g, Float32, size.boxes, 2*size.channels*size.width)
				var norms [4]*Tensor
				for i := range norms {
					norms[i] = s.Randn(g, Float32, []int{size.width, size.channels}[i/2])
				}
				c := RoIAlignConfig{Scales: []float64{1. / 4, 1. / 8, 1. / 16, 1. / 32}, Bins: 7, Samples: 2}
				for b.Loop() {
					DynamicConvPooled(levels, boxes, first, first, matrices, norms, c, 1e-5).Close()
				}
				return nil
			}))
		})
	}
}
