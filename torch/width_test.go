package torch

import (
	"fmt"
	"testing"

	"github.com/diffusioninst/go/internal/libtorch"
	"github.com/stretchr/testify/require"
)

// atEveryWidth calls f with the kernels that processors of narrower vectors run, and with this one's own.
func atEveryWidth(f func(bytes int)) {
	const widest = 64
	defer libtorch.Simd(widest)
	for bytes := 16; bytes <= widest; bytes *= 2 {
		if libtorch.Simd(bytes) == bytes {
			f(bytes)
		}
	}
}

// What the processor of a test has not, another one runs.
func TestKernelsOfNarrowerVectors(t *testing.T) {
	atEveryWidth(func(bytes int) {
		for name, test := range map[string]func(*testing.T){
			"SmallBmm": TestSmallBmmIsBmm, "DynamicConv": TestDynamicConvIsItsComposition, "Attention": TestAttentionIsItsComposition,
			"RoIAlign": TestRoIAlignAgainstComposed, "gradients": TestKernelGradientsAreSlopes, "Winograd": TestWinogradIsConv2d,
		} {
			t.Run(fmt.Sprintf("%s/%d", name, bytes), test)
		}
	})
}

// RoIAlign in float32 is the same to the bit on every processor; sums of the mask loss may be taken in another order.
func TestKernelsOfEveryWidthAgree(t *testing.T) {
	inDo(t, func(s *Scope) {
		g := NewGenerator(11)
		level := s.Randn(g, Float32, 1, 93, 9, 12).ChannelsLast()
		boxes := From(s, []float32{3, 2, 40, 30, -5, -5, 10, 60}, 2, 4)
		zero, config := s.Zeros(Options{Int64, CPU}, 2), RoIAlignConfig{Scales: []float64{1. / 4}, Bins: 3, Samples: 2}
		const layers, channels = 3, 8
		features := s.Randn(g, Float32, 1, channels, 25, 23)
		filters := s.Randn(g, Float32, 2, (layers-1)*channels*(channels+1)+channels+1)
		truths := s.Rand(g, Float32, 2, 25*23)

		var pooled []float32
		var dice [3]*Tensor
		atEveryWidth(func(bytes int) {
			got := Values[float32](RoIAlign([]*Tensor{level}, boxes, zero, zero, config))
			var losses [3]*Tensor
			WithGrad(func() {
				x, w := features.Detach().SetRequiresGrad(true), filters.Detach().SetRequiresGrad(true)
				y := MaskDice(x, w, []int64{0, 0}, truths, []int64{1, 0}, layers)
				y.Sum().Backward()
				losses = [3]*Tensor{y.Detach(), x.Grad(s), w.Grad(s)}
			})
			if pooled == nil {
				pooled, dice = got, losses
			}
			require.Equal(t, pooled, got, "%d bytes", bytes)
			for i := range dice {
				require.Less(t, far(losses[i], dice[i]), 1e-5, "%d bytes: loss, gradients: %d", bytes, i)
			}
		})
	})
}
