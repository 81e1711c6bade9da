package libtorch

// #include "kernels.h"
// #cgo noescape di_nms
import "C"

import (
	"runtime"
	"unsafe"
)

// UseHugePages allocates large CPU tensors in huge pages from now on, if the system has them.
func UseHugePages() { C.di_use_huge_pages() }

// BLASCore returns the name of the kernels that OpenBLAS uses, "" if there is no OpenBLAS.
func BLASCore() string { return C.GoString(C.di_blas_core()) }

// SleepWhileWaiting says whether OpenMP's threads sleep at once while they wait for work, or spin for
// some milliseconds first, as they do by default.
func SleepWhileWaiting(sleep bool) { C.di_sleep_while_waiting(C.bool(sleep)) }

// CacheMemory adds to the numbers of users and of keepers of the cache of freed CPU memory. While it
// has users, tensors get their memory from it; while it has keepers, it holds on to what is free.
func CacheMemory(users, keepers int) { C.di_cache_memory(C.int(users), C.int(keepers)) }

// CachedMemory returns the bytes that the cache holds, in use or free.
func CachedMemory() int64 { return int64(C.di_cached_memory()) }

// Counts are numbers of what all threads have done; see di_counts in kernels.h.
type Counts struct{ Operators, Layouts, Bytes, FLOP, Launches, Started, Transfers, Waits int64 }

// Count starts to count operators and their products, or stops; uses may overlap.
func Count(on bool) { C.di_count(C.bool(on)) }

// Counted returns what has been counted since the process began.
func Counted() Counts {
	c := C.di_counted()
	return Counts{int64(c.operators), int64(c.layouts), int64(c.bytes), int64(c.flop), int64(c.launches), int64(c.started), int64(c.transfers), int64(c.waits)}
}

// PeakRate returns the floating-point operations per second of one core in float32, measured.
func PeakRate() float64 { return float64(C.di_peak_rate()) }

// Simd limits the vectors of this module's kernels to so many bytes, 16, 32 or 64, and returns those that they have now, which
// are at most the processor's. It is for tests.
func Simd(most int) int { return int(C.di_simd(C.int(most))) }

// RoIAlign returns the features (R, bins·bins, C) pooled from boxes (R,4), x1 y1 x2 y2 in pixels
// of the input. levels are (B,C,h,w) each; image and level, int64 (R), name the image and the level
// that each box reads; level may be nil on a GPU, for the levels for the boxes' sizes. scales are the levels' sizes relative to the input.
func RoIAlign(levels []Handle, scales []float64, boxes, image, level Handle, bins, samples int) (Handle, *Error) {
	return one(C.di_roi_align((*C.di_tensor)(unsafe.Pointer(unsafe.SliceData(levels))), (*C.double)(unsafe.SliceData(scales)),
		C.size_t(len(levels)), C.di_tensor(boxes), C.di_tensor(image), C.di_tensor(level), C.int64_t(bins), C.int64_t(samples)))
}

// MaskDice returns the dice loss (M) of dynamic masks: features (B,C,h,w); filters (M,params) in
// ascending order of image; truths (G,h·w), uint8 of 0 and 1 or of the features' type; truth, int64 (M) on the CPU, is the row of truths
// of each filter.
func MaskDice(features, filters Handle, image []int64, truths, truth Handle, layers int) (Handle, *Error) {
	return one(C.di_mask_dice(C.di_tensor(features), C.di_tensor(filters), (*C.int64_t)(unsafe.SliceData(image)),
		C.di_tensor(truths), C.di_tensor(truth), C.size_t(len(image)), C.int64_t(layers)))
}

// LinearOneDNN returns x·weightᵀ + bias; bias may be nil.
func LinearOneDNN(x, weight, bias Handle) (Handle, *Error) {
	return one(C.di_linear(C.di_tensor(x), C.di_tensor(weight), C.di_tensor(bias)))
}

// Conv2dOneDNN returns the convolution of (B,C,H,W); bias may be nil.
func Conv2dOneDNN(x, weight, bias Handle, stride, padding [2]int) (Handle, *Error) {
	return one(C.di_convolution(C.di_tensor(x), C.di_tensor(weight), C.di_tensor(bias), ints(stride[:]), ints(padding[:])))
}

// Conv2dReLU returns max(0, convolution + add); bias and add may be nil.
func Conv2dReLU(x, weight, bias, add Handle, stride, padding [2]int) (Handle, *Error) {
	return one(C.di_convolution_relu(C.di_tensor(x), C.di_tensor(weight), C.di_tensor(bias), C.di_tensor(add), ints(stride[:]), ints(padding[:])))
}

// LinearReLU returns max(0, x·weightᵀ + bias); bias may be nil.
func LinearReLU(x, weight, bias Handle) (Handle, *Error) {
	return one(C.di_linear_relu(C.di_tensor(x), C.di_tensor(weight), C.di_tensor(bias)))
}

// ScaledAttention returns softmax(q·kᵀ/√E)·v of (B,H,N,E).
func ScaledAttention(q, k, v Handle) (Handle, *Error) {
	return one(C.di_scaled_attention(C.di_tensor(q), C.di_tensor(k), C.di_tensor(v)))
}

// LayerNormOptions are the settings of LayerNormAround; Second is −1 if only one result is wanted.
type LayerNormOptions struct {
	Eps         float64
	ReLU        bool
	Out, Second int // LibTorch's numbers of types
}

// LayerNormAround returns a layer norm on a GPU with what is around it; see di_layer_norm in kernels.h.
// inner, residual and modulation may be nil.
func LayerNormAround(x Handle, inner [2]Handle, residual, weight, bias, modulation Handle, o LayerNormOptions) (a, b Handle, e *Error) {
	options := C.di_layer_norm_options{eps: C.double(o.Eps), relu: C.bool(o.ReLU), out: C.int(o.Out), second: C.int(o.Second)}
	r := C.di_layer_norm(&options, C.di_tensor(x), (*C.di_tensor)(unsafe.Pointer(&inner[0])), C.di_tensor(residual), C.di_tensor(weight), C.di_tensor(bias), C.di_tensor(modulation))
	return Handle(r.a), Handle(r.b), takeError(r.error)
}

// ApplyDeltas returns boxes (…,4) on a GPU moved and scaled by deltas (…,4).
func ApplyDeltas(boxes, deltas Handle, weight, growth float64) (Handle, *Error) {
	return one(C.di_apply_deltas(C.di_tensor(boxes), C.di_tensor(deltas), C.double(weight), C.double(growth)))
}

// BoxesOptions are the settings of PredictBoxes; Keep asks for the second result.
type BoxesOptions struct {
	Eps, CentreWeight, Growth float64
	Keep                      bool
}

// PredictBoxes returns boxes (n,4) on a GPU moved and scaled by what layers and a linear map make of x (n,d), and what the layers
// make; see di_predict_boxes in kernels.h.
func PredictBoxes(x, matrices, norms, delta, bias, boxes Handle, o BoxesOptions) (a, b Handle, e *Error) {
	options := C.di_boxes_options{eps: C.double(o.Eps), centre_weight: C.double(o.CentreWeight), growth: C.double(o.Growth), keep: C.bool(o.Keep)}
	r := C.di_predict_boxes(&options, C.di_tensor(x), C.di_tensor(matrices), C.di_tensor(norms), C.di_tensor(delta), C.di_tensor(bias), C.di_tensor(boxes))
	return Handle(r.a), Handle(r.b), takeError(r.error)
}

// DynamicConvPooled returns what DynamicConv does of features that are pooled as by RoIAlign; level is nil on a GPU.
func DynamicConvPooled(levels []Handle, scales []float64, boxes, image, level, matrices Handle, norms [4]Handle, bins, samples int, eps float64) (Handle, *Error) {
	return one(C.di_dynamic_conv_pooled((*C.di_tensor)(unsafe.Pointer(unsafe.SliceData(levels))), (*C.double)(unsafe.SliceData(scales)), C.size_t(len(levels)),
		C.di_tensor(boxes), C.di_tensor(image), C.di_tensor(level), C.di_tensor(matrices), (*C.di_tensor)(unsafe.Pointer(&norms[0])), C.int64_t(bins), C.int64_t(samples), C.double(eps)))
}

// WinogradFits reports whether Winograd convolves these numbers of channels on this processor.
func WinogradFits(in, out int) bool { return bool(C.di_winograd_fits(C.int64_t(in), C.int64_t(out))) }

// WinogradWeight returns the weight (out,in,3,3) as Winograd takes it.
func WinogradWeight(weight Handle) (Handle, *Error) {
	return one(C.di_winograd_weight(C.di_tensor(weight)))
}

// Winograd returns the convolution of (B,in,H,W) plus add, at least 0 if relu is set; bias and add may be nil.
func Winograd(x, weight Handle, out int, bias, add Handle, relu bool) (Handle, *Error) {
	return one(C.di_winograd(C.di_tensor(x), C.di_tensor(weight), C.int64_t(out), C.di_tensor(bias), C.di_tensor(add), C.bool(relu)))
}

// WinogradLearned returns the convolution of (B,in,H,W) with the weight (out,in,3,3), with gradients; bias may be nil.
func WinogradLearned(x, weight, bias Handle) (Handle, *Error) {
	return one(C.di_winograd_learned(C.di_tensor(x), C.di_tensor(weight), C.di_tensor(bias)))
}

// SmallBmm returns the product of each pair of small matrices (B,m,k) and (B,k,n), on the CPU.
func SmallBmm(a, b Handle) (Handle, *Error) {
	return one(C.di_small_bmm(C.di_tensor(a), C.di_tensor(b)))
}

// DynamicConv returns relu(norm(relu(norm(rois·A))·B)), (R,P,d), of rois (R,P,d) and matrices (R,2·d·w), A and B in a row,
// on the CPU; norms are weight and bias of both layer norms.
func DynamicConv(rois, matrices Handle, norms [4]Handle, eps float64) (Handle, *Error) {
	return one(C.di_dynamic_conv(C.di_tensor(rois), C.di_tensor(matrices), (*C.di_tensor)(unsafe.Pointer(&norms[0])), C.double(eps)))
}

// Attention returns the multi-head attention (B,N,d) of queries, keys and values (B,N,3·d).
func Attention(qkv Handle, heads int) (Handle, *Error) {
	return one(C.di_attention(C.di_tensor(qkv), C.int64_t(heads)))
}

// UpsampleAligned returns the aligned bilinear upsampling of (B,C,h,w) by an integer factor, on the CPU.
func UpsampleAligned(x Handle, factor int) (Handle, *Error) {
	return one(C.di_upsample_aligned(C.di_tensor(x), C.int64_t(factor)))
}

// NMS returns the indices of the boxes (x1 y1 x2 y2 each) that survive non-maximum suppression,
// best first. Boxes suppress only boxes of their own class, or any if classes is nil.
func NMS(boxes, scores []float32, classes []int64, threshold float64) ([]int64, *Error) {
	keep := make([]int64, len(scores))
	var kept C.size_t
	e := takeError(C.di_nms((*C.float)(unsafe.SliceData(boxes)), (*C.float)(unsafe.SliceData(scores)), (*C.int64_t)(unsafe.SliceData(classes)),
		C.size_t(len(scores)), C.double(threshold), (*C.int64_t)(unsafe.SliceData(keep)), &kept))
	return keep[:kept], e
}

// MostNMSRows is how many candidates of a view NMSRows takes.
const MostNMSRows = int(C.DI_NMS_MOST)

// NMSRows performs non-maximum suppression on a GPU; see di_nms_rows in kernels.h.
func NMSRows(rows Handle, least, threshold float64, apart bool) (Handle, *Error) {
	return one(C.di_nms_rows(C.di_tensor(rows), &C.di_nms_options{least: C.double(least), threshold: C.double(threshold), apart: C.bool(apart)}))
}

// MaskSums are sums of an instance's probabilities over features; see di_mask_sums in kernels.h.
type MaskSums struct {
	Count          int
	Inside, All    float64
	X0, Y0, X1, Y1 int
}

// SumMasks returns the sums of each filter set on the CPU; see di_masks_sums in kernels.h.
func SumMasks(features, filters Handle, layers int, boxes []int32) ([]MaskSums, *Error) {
	sums := make([]C.di_mask_sums, len(boxes)/4)
	e := takeError(C.di_masks_sums(C.di_tensor(features), C.di_tensor(filters), C.int64_t(layers), (*C.int32_t)(unsafe.SliceData(boxes)), C.size_t(len(sums)), unsafe.SliceData(sums)))
	out := make([]MaskSums, len(sums))
	for i, s := range sums {
		out[i] = MaskSums{int(s.count), float64(s.inside), float64(s.all), int(s.x0), int(s.y0), int(s.x1), int(s.y1)}
	}
	return out, e
}

// Masks writes one bit mask per instance into words, which must be zero: the rows of its box, from
// the word of the first column to that of the last. features is (C,H,W), filters (n, params), boxes
// half-open pixel ranges (n, 4); input and output are (height, width). See di_masks and
// di_mask_image in kernels.h for the rest.
func Masks(features, filters Handle, boxes []int32, words [][]uint64, layers, stride int, input, output [2]int, threshold float32) *Error {
	if len(boxes) != 4*len(words) {
		return &Error{Message: "there must be four box coordinates per mask"}
	}
	var pin runtime.Pinner
	defer pin.Unpin()
	pointers := make([]unsafe.Pointer, len(words))
	for i, w := range words {
		x0, y0, x1, y1 := int(boxes[4*i]), int(boxes[4*i+1]), int(boxes[4*i+2]), int(boxes[4*i+3])
		if x0 < x1 && y0 < y1 && len(w) < (y1-y0)*((x1+63)/64-x0/64) {
			return &Error{Message: "the buffer of a mask is too small"}
		}
		if len(w) > 0 {
			pin.Pin(&w[0])
			pointers[i] = unsafe.Pointer(&w[0])
		}
	}
	image := C.di_mask_image{
		layers: C.int64_t(layers), stride: C.int64_t(stride), threshold: C.float(threshold),
		input_h: C.int64_t(input[0]), input_w: C.int64_t(input[1]), output_h: C.int64_t(output[0]), output_w: C.int64_t(output[1]),
	}
	return takeError(C.di_masks(&image, C.di_tensor(features), C.di_tensor(filters), (*C.int32_t)(unsafe.SliceData(boxes)), C.size_t(len(words)),
		(**C.uint64_t)(unsafe.Pointer(unsafe.SliceData(pointers)))))
}
