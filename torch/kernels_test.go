package torch

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// inDo runs f on a worker and checks that it leaves no tensor behind.
func inDo(t *testing.T, f func(s *Scope)) {
	t.Helper()
	before := Live()
	require.NoError(t, Do(context.Background(), func(s *Scope) error {
		f(s)
		return nil
	}))
	require.Equal(t, before, Live(), "tensors left behind")
}

// devices are the CPU and, where there is one, the first GPU.
func devices() []Device {
	if CUDADevices() == 0 {
		return []Device{CPU}
	}
	return []Device{CPU, CUDA(0)}
}

func distance(a, b *Tensor) float64 {
	a, b = a.To(CPU), b.To(CPU)
	return a.Sub(b).Norm().Item() / math.Max(b.Norm().Item(), 1e-12)
}

func pyramid(s *Scope, g *Generator, dtype DType, images, channels int) []*Tensor {
	var levels []*Tensor
	for _, hw := range [][2]int{{24, 40}, {12, 20}, {6, 10}} {
		levels = append(levels, s.Randn(g, dtype, images, channels, hw[0], hw[1]))
	}
	return levels
}

// regions draws boxes that also leave the picture on every side, with empty ones.
func regions(s *Scope, g *Generator, dtype DType, n int) (boxes, image, level *Tensor) {
	a := s.Rand(g, dtype, n, 2).MulScalar(140).AddScalar(-20)
	size := s.Rand(g, dtype, n, 2).MulScalar(90).AddScalar(-5).ClampMin(0)
	return Cat([]*Tensor{a, a.Add(size)}, 1), s.Randint(g, 0, 2, n), s.Randint(g, 0, 3, n)
}

var pool7 = RoIAlignConfig{Scales: []float64{1. / 4, 1. / 8, 1. / 16}, Bins: 7, Samples: 2}

func TestRoIAlignAgainstComposed(t *testing.T) {
	for _, device := range devices() {
		for _, channels := range []int{1, 3, 32, 256, 300} {
			inDo(t, func(s *Scope) {
				g := NewGenerator(uint64(channels))
				levels := pyramid(s, g, Float32, 2, channels)
				boxes, image, level := regions(s, g, Float32, 200)
				composed := roiAlignComposed(levels, boxes, image, level, pool7)
				for i, l := range levels {
					levels[i] = l.To(device)
				}
				fused := RoIAlign(levels, boxes.To(device), image.To(device), level.To(device), pool7)
				require.Equal(t, []int{200, 49, channels}, fused.Shape())
				require.Less(t, distance(fused, composed), 1e-5)
			})
		}
	}
}

// Features in bfloat16 give the results of the same features in float32, rounded once: boxes are
// not rounded, and sums are float32's.
func TestRoIAlignOfBFloat16(t *testing.T) {
	inDo(t, func(s *Scope) {
		g := NewGenerator(6)
		boxes, image, level := regions(s, g, Float32, 200)
		for _, channels := range []int{1, 19, 256} {
			levels, exact := pyramid(s, g, Float32, 2, channels), make([]*Tensor, 3)
			for i, l := range levels {
				levels[i] = l.ToDType(BFloat16)
				exact[i] = levels[i].ToDType(Float32)
			}
			got := RoIAlign(levels, boxes, image, level, pool7)
			require.Equal(t, BFloat16, got.DType())
			want := RoIAlign(exact, boxes, image, level, pool7)
			far := got.ToDType(Float32).Sub(want).Abs().Sub(want.Abs().MulScalar(1./256)).Amax([]int{0, 1, 2}, false).Item()
			require.LessOrEqual(t, far, 1e-6)
		}
	})
}

func TestRoIAlignGradients(t *testing.T) {
	for _, device := range devices() {
		t.Run(device.String(), func(t *testing.T) { roiAlignGradients(t, device) })
	}
}

func roiAlignGradients(t *testing.T, device Device) {
	inDo(t, func(s *Scope) {
		g := NewGenerator(3)
		boxes, image, level := regions(s, g, Float64, 30)
		weight := s.Randn(g, Float64, 30, 9, 5)
		c := RoIAlignConfig{Scales: pool7.Scales, Bins: 3, Samples: 2}
		grads := func(align func([]*Tensor, *Tensor, *Tensor, *Tensor, RoIAlignConfig) *Tensor, device Device) []*Tensor {
			var out []*Tensor
			boxes, image, level, weight := boxes.To(device), image.To(device), level.To(device), weight.To(device)
			WithGrad(func() {
				levels := pyramid(s, NewGenerator(4), Float64, 2, 5)
				for i, l := range levels {
					levels[i] = l.To(device).SetRequiresGrad(true)
				}
				align(levels, boxes, image, level, c).Mul(weight).Sum().Backward()
				for _, l := range levels {
					out = append(out, l.Grad(s))
				}
			})
			return out
		}
		fused, composed := grads(RoIAlign, device), grads(roiAlignComposed, CPU)
		for i := range fused {
			fused[i] = fused[i].To(CPU)
			require.Less(t, distance(fused[i], composed[i]), 1e-12)
		}

		// Finite differences on some elements of each level.
		levels := pyramid(s, NewGenerator(4), Float64, 2, 5)
		value := func() float64 { return RoIAlign(levels, boxes, image, level, c).Mul(weight).Sum().Item() }
		const h = 1e-6
		for i, l := range levels {
			flat := l.View(-1)
			for _, j := range []int{0, 7, l.Elements() / 2, l.Elements() - 1} {
				e := flat.Narrow(0, j, 1)
				e.AddScalarInPlace(h)
				up := value()
				e.AddScalarInPlace(-2 * h)
				down := value()
				e.AddScalarInPlace(h)
				want := fused[i].Contiguous().View(-1).Narrow(0, j, 1).Item()
				require.InDelta(t, want, (up-down)/(2*h), 1e-6)
			}
		}
	})
}

func TestRoIAlignRefusesBadInput(t *testing.T) {
	before := Live()
	err := Do(context.Background(), func(s *Scope) error {
		levels := []*Tensor{s.Zeros(F32(CPU), 1, 4, 8, 8)}
		RoIAlign(levels, s.Zeros(F32(CPU), 2, 4), s.Full(5, Options{Int64, CPU}, 2), s.Zeros(Options{Int64, CPU}, 2),
			RoIAlignConfig{Scales: []float64{1}, Bins: 7, Samples: 2})
		return nil
	})
	var e *Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, "roi_align", e.Op)
	require.Contains(t, e.Message, "image 5")
	require.Equal(t, before, Live())
}

// nmsPlain is non-maximum suppression over the matrix of all overlaps.
func nmsPlain(s *Scope, boxes, scores, classes *Tensor, threshold float64) []int64 {
	n := int64(boxes.Size(0))
	a, b := boxes.Unsqueeze(1), boxes.Unsqueeze(0)
	side := func(lo, hi int) *Tensor {
		return a.Select(2, hi).Minimum(b.Select(2, hi)).Sub(a.Select(2, lo).Maximum(b.Select(2, lo))).ClampMin(0)
	}
	both := side(0, 2).Mul(side(1, 3))
	area := boxes.Select(1, 2).Sub(boxes.Select(1, 0)).Mul(boxes.Select(1, 3).Sub(boxes.Select(1, 1)))
	iou := both.Div(area.Unsqueeze(1).Add(area.Unsqueeze(0)).Sub(both))
	worse := Values[uint8](iou.GtScalar(threshold).LogicalAnd(classes.Unsqueeze(1).Eq(classes.Unsqueeze(0))).ToDType(Uint8))
	_, order := scores.Sort(0, true)
	var keep []int64
	for _, i := range Values[int64](order) {
		ok := true
		for _, k := range keep {
			ok = ok && worse[k*n+i] == 0
		}
		if ok {
			keep = append(keep, i)
		}
	}
	return keep
}

func TestNMSAgainstPlain(t *testing.T) {
	for seed := range uint64(20) {
		inDo(t, func(s *Scope) {
			g := NewGenerator(seed)
			boxes, _, _ := regions(s, g, Float32, 300)
			scores, classes := s.Rand(g, Float32, 300), s.Randint(g, 0, 3, 300)
			got := NMS(Values[float32](boxes), Values[float32](scores), Values[int64](classes), 0.3)
			require.Equal(t, nmsPlain(s, boxes, scores, classes, 0.3), got)
			require.Less(t, len(got), 300)
		})
	}
}

func TestNMSOfNothing(t *testing.T) {
	require.Empty(t, NMS(nil, nil, nil, 0.5))
}

// BenchmarkRoIAlign pools the paper's pyramid of an 800×1216 picture for 500 boxes of
// mixed sizes, 256 channels.
func BenchmarkRoIAlign(b *testing.B) {
	require.NoError(b, Do(context.Background(), func(s *Scope) error {
		g := NewGenerator(1)
		c := RoIAlignConfig{Scales: []float64{1. / 4, 1. / 8, 1. / 16, 1. / 32}, Bins: 7, Samples: 2}
		var levels []*Tensor
		for _, stride := range []int{4, 8, 16, 32} {
			levels = append(levels, s.Randn(g, Float32, 1, 256, 800/stride, 1216/stride).ChannelsLast())
		}
		const n = 500
		var values []float32
		var of []int64
		random := rand.New(rand.NewPCG(1, 1))
		for range n {
			side := 20 * math.Exp2(5*random.Float64())
			x, y := random.Float64()*max(1216-side, 0), random.Float64()*max(800-side, 0)
			values = append(values, float32(x), float32(y), float32(x+side), float32(y+side))
			of = append(of, int64(min(max(math.Floor(4+math.Log2(side/224)), 2), 5))-2)
		}
		boxes, level, image := From(s, values, n, 4), From(s, of, n), s.Zeros(Options{Int64, CPU}, n)
		b.Run("forward", func(b *testing.B) {
			for b.Loop() {
				RoIAlign(levels, boxes, image, level, c).Close()
			}
		})
		b.Run("forward in bfloat16", func(b *testing.B) {
			var low []*Tensor
			for _, l := range levels {
				low = append(low, l.ToDType(BFloat16))
			}
			for b.Loop() {
				RoIAlign(low, boxes, image, level, c).Close()
			}
		})
		b.Run("backward", func(b *testing.B) {
			WithGrad(func() {
				for _, l := range levels {
					l.SetRequiresGrad(true)
				}
				for b.Loop() {
					mark := s.Mark()
					b.StopTimer()
					y := RoIAlign(levels, boxes, image, level, c).Sum()
					b.StartTimer()
					y.Backward()
					b.StopTimer()
					for _, l := range levels {
						l.ClearGrad()
					}
					s.Release(mark)
					b.StartTimer()
				}
			})
		})
		return nil
	}))
}
