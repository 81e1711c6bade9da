package torch

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// The gradients of every fused kernel are the slopes that central differences find.
func TestKernelGradientsAreSlopes(t *testing.T) {
	for _, device := range devices() {
		t.Run(device.String(), func(t *testing.T) { kernelGradientsAreSlopes(t, device) })
	}
}

func kernelGradientsAreSlopes(t *testing.T, device Device) {
	for name, c := range map[string]struct {
		shapes [][]int
		kernel func(s *Scope, in []*Tensor) *Tensor
	}{
		"RoIAlign": {[][]int{{2, 3, 6, 5}, {2, 3, 3, 3}}, func(s *Scope, in []*Tensor) *Tensor {
			boxes := From(s, []float64{1, 2, 15, 21, -6, 3, 9, 30, 4, 4, 4, 9}, 3, 4)
			image, level := From(s, []int64{0, 1, 1}), From(s, []int64{0, 1, 0})
			return RoIAlign(in, boxes.To(device), image.To(device), level.To(device), RoIAlignConfig{Scales: []float64{1. / 4, 1. / 8}, Bins: 3, Samples: 2})
		}},
		"SmallBmm": {[][]int{{2, 7, 3}, {2, 3, 9}}, func(_ *Scope, in []*Tensor) *Tensor { return in[0].SmallBmm(in[1]) }},
		"UpsampleAligned": {[][]int{{2, 3, 3, 2}}, func(_ *Scope, in []*Tensor) *Tensor {
			return in[0].To(CPU).UpsampleAligned(3).To(device) // for the CPU alone
		}},
		"BatchNormTraining": {[][]int{{2, 3, 2, 3}, {3}, {3}}, batchNormOf(false)},
		"with ReLU":         {[][]int{{2, 3, 2, 3}, {3}, {3}}, batchNormOf(true)},
		"MaskDice": {[][]int{{2, 2, 3, 3}, {3, 9}}, func(s *Scope, in []*Tensor) *Tensor {
			truths := From(s, []uint8{1, 1, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 1, 1, 1, 1, 0}, 2, 9)
			return MaskDice(in[0], in[1], []int64{0, 1, 1}, truths.To(device), []int64{1, 0, 1}, 2)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			inDo(t, func(s *Scope) {
				g := NewGenerator(8)
				var values [][]float64
				for _, shape := range c.shapes {
					values = append(values, Values[float64](s.Randn(g, Float64, shape...)))
				}
				var weight *Tensor
				run := func() (loss *Tensor, in []*Tensor) {
					for i, shape := range c.shapes {
						in = append(in, From(s, values[i], shape...).To(device).SetRequiresGrad(true))
					}
					y := c.kernel(s, in)
					if weight == nil {
						weight = s.Randn(g, Float64, y.Shape()...).To(device)
					}
					return y.Mul(weight).Sum(), in
				}
				WithGrad(func() {
					loss, in := run()
					loss.Backward()
					at := func(i, k int, v float64) float64 {
						mark := s.Mark()
						defer s.Release(mark)
						before := values[i][k]
						defer func() { values[i][k] = before }()
						values[i][k] += v
						loss, _ := run()
						return loss.Detach().Item()
					}
					for i := range in {
						for k, got := range Values[float64](in[i].Grad(s)) {
							const h = 1e-6
							want := (at(i, k, h) - at(i, k, -h)) / (2 * h)
							require.InDelta(t, want, got, 1e-7*math.Max(1, math.Abs(want)), "input %d, element %d", i, k)
						}
					}
				})
			})
		})
	}
}

func batchNormOf(relu bool) func(s *Scope, in []*Tensor) *Tensor {
	return func(_ *Scope, in []*Tensor) *Tensor {
		return BatchNormTraining{Weight: in[1], Bias: in[2], Momentum: 0.1, Eps: 1e-5, ReLU: relu}.Forward(in[0])
	}
}
