package torch

import (
	"strings"

	"github.com/diffusioninst/go/internal/libtorch"
)

// Conv2dReLU returns max(0, convolution + add) of what Conv2dOneDNN does; bias and add may be nil. On a GPU,
// without gradients and in float32 or bfloat16, cuDNN computes it in one launch if it can.
func (t *Tensor) Conv2dReLU(weight, bias, add *Tensor, stride, padding [2]int) *Tensor {
	h, e := libtorch.Conv2dReLU(t.handle(), weight.handle(), bias.optionalHandle(), add.optionalHandle(), stride, padding)
	check("conv2d_relu", e, t, weight, bias, add)
	return scopeOf(t, weight, bias, add).own(h)
}

// LinearReLU returns max(0, t·weightᵀ + bias); bias may be nil. On a GPU, without gradients, it is one launch.
func (t *Tensor) LinearReLU(weight, bias *Tensor) *Tensor {
	h, e := libtorch.LinearReLU(t.handle(), weight.handle(), bias.optionalHandle())
	check("linear_relu", e, t, weight, bias)
	return scopeOf(t, weight, bias).own(h)
}

// HasScaledAttention reports whether this LibTorch has scaled dot-product attention as one operator, which it does
// from 2.0 on.
func HasScaledAttention() bool { return !strings.HasPrefix(Version(), "1.") }

// ScaledAttention returns softmax(q·kᵀ/√E)·v for q, k and v of (B,H,N,E).
func ScaledAttention(q, k, v *Tensor) *Tensor {
	h, e := libtorch.ScaledAttention(q.handle(), k.handle(), v.handle())
	check("attention", e, q, k, v)
	return scopeOf(q, k, v).own(h)
}

// LayerNormAround is a layer norm with what is around it, one launch on a GPU; it is for GPUs only, and no
// gradients flow. Vectors have at most MaxLayerNormAround numbers.
type LayerNormAround struct {
	Weight, Bias *Tensor // (size)
	Eps          float64
	Residual     *Tensor // of x's shape and float32 or float64, added to x before; nil for none
	ReLU         bool    // after weight and bias
	// Modulation (B, 2·size), if not nil, makes the second result y·(1 + scale) + shift of the first, y: its
	// row i is scale and shift of the i-th of B equal parts of the vectors.
	Modulation *Tensor
	// Out and Second are the types of the results. If Second is not set, there is only one; otherwise the second is
	// the first in this type, unless there is a Modulation.
	Out, Second DType
}

// MaxLayerNormAround is the longest vector that LayerNormAround normalises: a warp keeps it in registers.
const MaxLayerNormAround = 2048

// Forward returns the norms of the vectors x (…, size), which may be of float16 or bfloat16 and are computed in
// float32.
func (n LayerNormAround) Forward(x *Tensor) (y, second *Tensor) {
	if x.Dim() == 0 || x.Size(x.Dim()-1) > MaxLayerNormAround {
		fail("layer_norm_around", "x must be (…, size) of at most 2048 numbers", x)
	}
	o := libtorch.LayerNormOptions{Eps: n.Eps, ReLU: n.ReLU, Out: n.Out.number(), Second: -1}
	if n.Second != 0 {
		o.Second = n.Second.number()
	}
	a, b, e := libtorch.LayerNormAround(x.handle(), n.Residual.optionalHandle(), n.Weight.handle(), n.Bias.handle(), n.Modulation.optionalHandle(), o)
	check("layer_norm_around", e, x, n.Residual, n.Weight, n.Bias, n.Modulation)
	s := scopeOf(x, n.Residual, n.Weight, n.Bias, n.Modulation)
	if y = s.own(a); n.Second != 0 {
		second = s.own(b)
	}
	return y, second
}

// ApplyDeltas returns boxes (…,4), x1 y1 x2 y2 on a GPU, whose centres are moved by (dx, dy)/weight of their sizes
// and whose sizes are multiplied by exp of (dw, dh), of which at most growth counts (Girshick et al. 2014). Gradients
// flow to deltas, and boxes must not need any.
func ApplyDeltas(boxes, deltas *Tensor, weight, growth float64) *Tensor {
	h, e := libtorch.ApplyDeltas(boxes.handle(), deltas.handle(), weight, growth)
	check("apply_deltas", e, boxes, deltas)
	return scopeOf(boxes, deltas).own(h)
}

// BoxLevels returns the level, int64 (n), of n boxes (…,4) on a GPU in a pyramid of count levels from 2^finest
// pixels on: ⌊4 + log2(√area/224 + 1e-8)⌋ (Lin et al. 2017), as an index from 0 to count−1.
func BoxLevels(boxes *Tensor, finest float64, count int) *Tensor {
	h, e := libtorch.BoxLevels(boxes.handle(), finest, count)
	check("box_levels", e, boxes)
	return scopeOf(boxes).own(h)
}
