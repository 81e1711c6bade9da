package torch

import (
	"fmt"
	"strings"

	"github.com/diffusioninst/go/internal/libtorch"
)

// Conv2dReLU returns max(0, convolution + add), where the convolution is Conv2dOneDNN's; bias and add may be nil. On a GPU,
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

// LayerNormAround is a layer norm fused with the operators before and after it, in one launch. It is for GPUs only,
// and no gradients flow. Vectors have at most MaxLayerNormAround numbers.
type LayerNormAround struct {
	Weight, Bias *Tensor // (size)
	// Inner, if not nil, holds weight and bias of another layer norm, through which x goes first, followed by a ReLU.
	Inner    [2]*Tensor
	Eps      float64
	Residual *Tensor // of x's shape and float32 or float64, added to x before; nil for none
	ReLU     bool    // after weight and bias
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
	a, b, e := libtorch.LayerNormAround(x.handle(), [2]libtorch.Handle{n.Inner[0].optionalHandle(), n.Inner[1].optionalHandle()}, n.Residual.optionalHandle(), n.Weight.handle(), n.Bias.handle(), n.Modulation.optionalHandle(), o)
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

// BoxPrediction predicts boxes on a GPU in one launch; no gradients flow. Features of n proposals (n,d) go through layers,
// relu(norm(x·W)) each, and a linear map to deltas (dx, dy, dw, dh), which move centres by (dx, dy)/CentreWeight of the sizes and
// multiply sizes by exp of (dw, dh), of which at most Growth counts (Girshick et al. 2014).
type BoxPrediction struct {
	Matrices     *Tensor // (layers,d,d): W of each, of (in,out)
	Norms        *Tensor // (layers,2,d): weight and bias of each
	Delta, Bias  *Tensor // (4,d) and (4)
	Eps          float64
	CentreWeight float64
	Growth       float64
}

// MaxBoxFeatures is the largest d of BoxPrediction: a block's shared memory holds what is between layers.
const MaxBoxFeatures = 1024

// Forward moves and scales boxes (n,4), x1 y1 x2 y2 in float32, by what is predicted from x (n,d), which may be of float16 or
// bfloat16, as may Matrices, and is computed in float32. If keep is set, it also returns what the layers make of x, in float32.
func (p BoxPrediction) Forward(x, boxes *Tensor, keep bool) (moved, features *Tensor) {
	a, b, e := libtorch.PredictBoxes(x.handle(), p.Matrices.handle(), p.Norms.handle(), p.Delta.handle(), p.Bias.handle(), boxes.handle(),
		libtorch.BoxesOptions{Eps: p.Eps, CentreWeight: p.CentreWeight, Growth: p.Growth, Keep: keep})
	check("box_prediction", e, x, p.Matrices, p.Norms, p.Delta, p.Bias, boxes)
	s := scopeOf(x, boxes)
	if moved = s.own(a); keep {
		features = s.own(b)
	}
	return moved, features
}

// DynamicConvPooled returns what RoIAlign and then DynamicConv do, (R, Bins², d), while pooled features never lie in memory, nor are
// rounded. Levels, matrices (R,2·d·w) and norms are of one type, float32 or bfloat16, or on a GPU float16, and computed in float32. On a
// GPU it is one launch, which pools each of the boxes (R,4) from the level for its size, whatever level says; d + w is at
// most MaxPooledFeatures. No gradients flow.
func DynamicConvPooled(levels []*Tensor, boxes, image, level, matrices *Tensor, norms [4]*Tensor, c RoIAlignConfig, eps float64) *Tensor {
	if len(levels) == 0 || len(levels) != len(c.Scales) {
		fail("dynamic_conv_pooled", fmt.Sprintf("%d levels with %d scales", len(levels), len(c.Scales)))
	}
	var of [4]libtorch.Handle
	for i, n := range norms {
		of[i] = n.handle()
	}
	h, e := libtorch.DynamicConvPooled(handles(levels), c.Scales, boxes.handle(), image.handle(), level.optionalHandle(), matrices.handle(), of, c.Bins, c.Samples, eps)
	check("dynamic_conv_pooled", e, append([]*Tensor{boxes, image, matrices}, levels...)...)
	return scopeOf(append([]*Tensor{boxes, matrices}, levels...)...).own(h)
}

// MaxPooledFeatures is the largest d + w of DynamicConvPooled, for the same reason as MaxBoxFeatures.
const MaxPooledFeatures = 2048
