package torch

import (
	"fmt"
	"image"

	"github.com/diffusioninst/go/internal/libtorch"
)

// RoIAlignConfig says how boxes are pooled from a feature pyramid.
type RoIAlignConfig struct {
	Scales  []float64 // of each level relative to the boxes' coordinates, such as 1/4, 1/8 …
	Bins    int       // per side of a pooled box
	Samples int       // bilinear samples per side of a bin
}

// RoIAlign pools boxes from a feature pyramid (He et al. 2017, aligned by half a
// pixel). levels are (B,C,H,W); boxes (R,4) are x1 y1 x2 y2; image and level,
// int64 (R), say which picture and level each box is pooled from; on a GPU level may be nil, for ⌊4 + log2(√area/224 + 1e-8)⌋ (Lin et
// al. 2017) in a pyramid from p2, p3, … on. The result is (R, Bins², C), bins
// row-major, of the levels' type: float32, float64, bfloat16, or on a GPU float16; the last two are summed in
// float32 at the boxes' float32 coordinates. Gradients flow to the levels, on the CPU unless they are bfloat16.
func RoIAlign(levels []*Tensor, boxes, image, level *Tensor, c RoIAlignConfig) *Tensor {
	if len(levels) == 0 || len(levels) != len(c.Scales) {
		fail("roi_align", fmt.Sprintf("%d levels with %d scales", len(levels), len(c.Scales)))
	}
	h, e := libtorch.RoIAlign(handles(levels), c.Scales, boxes.handle(), image.handle(), level.optionalHandle(), c.Bins, c.Samples)
	check("roi_align", e, append([]*Tensor{boxes, image, level}, levels...)...)
	return scopeOf(append([]*Tensor{boxes}, levels...)...).own(h)
}

// MaskDice returns the dice loss 1 − 2Σpg/(Σp²+Σg²+1e-5) (Milletari et al. 2016) of each of
// M dynamic masks, (M). p is the sigmoid of layers 1×1 convolutions with ReLU between
// over the mask features (B,C,h,w) of picture image[i], whose weights are row i of
// filters (M,params); image must ascend. g is the row truth[i] of truths
// (G,h·w): uint8 of 0 and 1, or the parts of pixels, from 0 to 1, in the features' type. Gradients flow to features and filters. Float16 and
// bfloat16 are computed in float32, the losses' type. It is for up to 8 layers of up to 32 channels, and on a GPU for
// up to 4 layers of up to 16.
func MaskDice(features, filters *Tensor, image []int64, truths *Tensor, truth []int64, layers int) *Tensor {
	f, w, of := features.handle(), filters.handle(), truths.handle()
	picks := From(filters.scope, truth)
	h, e := libtorch.MaskDice(f, w, image, of, picks.handle(), layers)
	check("mask_dice", e, features, filters, truths, picks)
	return scopeOf(features, filters).own(h)
}

// LinearOneDNN returns what Linear does. Without gradients, in float32 on the CPU, oneDNN computes
// it, which picks its kernels by the processor: Linear takes the BLAS that happens to be installed.
func (t *Tensor) LinearOneDNN(weight, bias *Tensor) *Tensor {
	h, e := libtorch.LinearOneDNN(t.handle(), weight.handle(), bias.optionalHandle())
	check("linear", e, t, weight, bias)
	return scopeOf(t, weight, bias).own(h)
}

// Conv2dOneDNN returns what Conv2d does without dilation and groups, and computes it as
// LinearOneDNN does: Conv2d takes the BLAS for small and for 1×1 convolutions.
func (t *Tensor) Conv2dOneDNN(weight, bias *Tensor, stride, padding [2]int) *Tensor {
	h, e := libtorch.Conv2dOneDNN(t.handle(), weight.handle(), bias.optionalHandle(), stride, padding)
	check("conv2d", e, t, weight, bias)
	return scopeOf(t, weight, bias).own(h)
}

// SmallBmm returns the matrix product of each pair of (B,m,k) and (B,k,n), as Bmm does. It
// is for many pairs of matrices that fit into the processor's caches: on the CPU, in float32
// and float64, it is one fused kernel.
func (t *Tensor) SmallBmm(other *Tensor) *Tensor {
	if d := t.DType(); t.Device().IsCUDA() || (d != Float32 && d != Float64) {
		return t.Bmm(other)
	}
	h, e := libtorch.SmallBmm(t.handle(), other.handle())
	check("small_bmm", e, t, other)
	return scopeOf(t, other).own(h)
}

// DynamicConv returns relu(norm₂(relu(norm₁(t·A))·B)), (R,P,d), for t (R,P,d): the pooled features of R
// proposals, each multiplied with two matrices of its own (Sun et al., Sparse R-CNN, arXiv 2011.12450).
// matrices (R,2·d·w) holds A (d,w) and B (w,d) of each, norms weight and bias of the layer norms over w and
// d values. It is one fused kernel without gradients, for float32 on the CPU, and d and w that are
// multiples of 16.
func (t *Tensor) DynamicConv(matrices *Tensor, norms [4]*Tensor, eps float64) *Tensor {
	var of [4]libtorch.Handle
	for i, n := range norms {
		of[i] = n.handle()
	}
	h, e := libtorch.DynamicConv(t.handle(), matrices.handle(), of, eps)
	check("dynamic_conv", e, t, matrices)
	return scopeOf(t, matrices).own(h)
}

// Attention returns softmax(QKᵀ/√(d/heads))·V of each of the heads side by side (Vaswani et al. 2017), (B,N,d),
// for t (B,N,3·d): queries, keys and values in a row. It is one fused kernel without gradients, for
// float32 on the CPU, and on a GPU for float32, float16 and bfloat16 if d/heads is a multiple of 4 up to 64.
func (t *Tensor) Attention(heads int) *Tensor {
	h, e := libtorch.Attention(t.handle(), heads)
	check("attention", e, t)
	return t.scope.own(h)
}

// UpsampleAligned returns x (B,C,h,w) enlarged by a whole factor f so that the pixel centres
// stay aligned: row u of the result lies at (u − f/2)/f, at least 0, bilinearly between
// the rows of x, the last of which is repeated; columns alike. It is for float32,
// float64 and bfloat16 on the CPU.
func (t *Tensor) UpsampleAligned(factor int) *Tensor {
	h, e := libtorch.UpsampleAligned(t.handle(), factor)
	check("upsample_aligned", e, t)
	return t.scope.own(h)
}

// NMS performs greedy non-maximum suppression. It returns the indices of the boxes (x1 y1
// x2 y2 each) that overlap no better one of their class by more than threshold (IoU), best
// first, of equal scores the earlier. If classes is nil all boxes compete.
func NMS(boxes, scores []float32, classes []int64, threshold float64) []int64 {
	if len(boxes) != 4*len(scores) || (classes != nil && len(classes) != len(scores)) {
		fail("nms", fmt.Sprintf("%d coordinates, %d scores and %d classes", len(boxes), len(scores), len(classes)))
	}
	keep, e := libtorch.NMS(boxes, scores, classes, threshold)
	check("nms", e)
	return keep
}

// MostNMSRows is how many candidates of a view NMSRows takes.
const MostNMSRows = libtorch.MostNMSRows

// NMSRows performs the suppression of NMS on a GPU for the candidates of B views at once, and does not wait for it. t is (E,B,N,7 or
// more) of float32, E evaluations of each view: row j of one begins with the score, the proposal and the class of a candidate, and then
// has the box of proposal j. Candidates whose score is below least do not count; if apart, boxes
// suppress only boxes of their own evaluation. The result is int32 (B,E·N+1): the number of candidates that are kept, and
// the numbers e·N + j of these, best first; what follows is undefined. E·N is MostNMSRows at most.
func (t *Tensor) NMSRows(least, threshold float64, apart bool) *Tensor {
	h, e := libtorch.NMSRows(t.handle(), least, threshold, apart)
	check("nms_rows", e, t)
	return t.scope.own(h)
}

// MaskGeometry says how the mask features, the network input and the masks of one picture
// relate.
type MaskGeometry struct {
	Stride           int     // of the mask features in the padded network input
	InputW, InputH   int     // of the network input without padding
	OutputW, OutputH int     // of the masks
	Threshold        float64 // a pixel of a mask has a probability above it
}

// DynamicMasks runs one filter set per instance, (n, params), of a number of 1×1
// convolutions with ReLU between over the mask features (C,H,W) of one picture, and
// thresholds the upsampled probabilities into bits. Only pixels inside boxes[i] are computed;
// words[i] are the rows of that box, from the word of its first column to that of its last:
// pixel x is bit x&63 of word x>>6 − boxes[i].Min.X>>6 of its row. They must be zero. filters
// are float32, and so are the features, or float16 or bfloat16.
func DynamicMasks(features, filters *Tensor, layers int, boxes []image.Rectangle, words [][]uint64, g MaskGeometry) {
	if features.Dim() != 3 || filters.Dim() != 2 || filters.Size(0) != len(boxes) || len(boxes) != len(words) {
		fail("dynamic_masks", "features must be (C,H,W), filters (n, params), one box and mask per filter set", features, filters)
	}
	check("dynamic_masks", libtorch.Masks(features.handle(), filters.handle(), corners(boxes), words, layers, g.Stride,
		[2]int{g.InputH, g.InputW}, [2]int{g.OutputH, g.OutputW}, float32(g.Threshold)), features, filters)
}

// corners returns x0 y0 x1 y1 of each box.
func corners(boxes []image.Rectangle) []int32 {
	out := make([]int32, 0, 4*len(boxes))
	for _, b := range boxes {
		out = append(out, int32(b.Min.X), int32(b.Min.Y), int32(b.Max.X), int32(b.Max.Y))
	}
	return out
}

// MaskSums are what DynamicMaskSums adds up of an instance's probabilities over the features in a box. The mask is
// where they exceed ½.
type MaskSums struct {
	Count       int             // features in the mask
	Inside, All float64         // sums of the probabilities in the mask and in the box
	Around      image.Rectangle // the smallest one around the mask, in features; empty if Count is 0
}

// DynamicMaskSums runs one filter set per instance as DynamicMasks does, on the CPU, and returns sums over the
// mask features (C,H,W) in boxes, which must lie in [0,W)×[0,H). filters (n, params) are float32.
func DynamicMaskSums(features, filters *Tensor, layers int, boxes []image.Rectangle) []MaskSums {
	if features.Dim() != 3 || filters.Dim() != 2 || filters.Size(0) != len(boxes) {
		fail("dynamic_mask_sums", "features must be (C,H,W), filters (n, params), one box per filter set", features, filters)
	}
	sums, e := libtorch.SumMasks(features.handle(), filters.handle(), layers, corners(boxes))
	check("dynamic_mask_sums", e, features, filters)
	out := make([]MaskSums, len(sums))
	for i, s := range sums {
		out[i] = MaskSums{Count: s.Count, Inside: s.Inside, All: s.All}
		if s.Count > 0 {
			out[i].Around = image.Rect(s.X0, s.Y0, s.X1, s.Y1)
		}
	}
	return out
}
