package libtorch

// #include "kernels.h"
// #cgo noescape di_nms
import "C"

import (
	"runtime"
	"unsafe"
)

// UseHugePages puts large tensors on the CPU into huge pages from now on, if the
// system has them.
func UseHugePages() { C.di_use_huge_pages() }

// CacheMemory keeps freed memory of tensors on the CPU for the next ones, as long as
// more calls said true than false.
func CacheMemory(on bool) { C.di_cache_memory(C.bool(on)) }

// CachedMemory returns the bytes that CacheMemory holds, in use or not.
func CachedMemory() int64 { return int64(C.di_cached_memory()) }

// RoIAlign pools boxes (R,4) of the given images and levels (int64 (R) each) to
// (R, bins·bins, C).
func RoIAlign(levels []Handle, scales []float64, boxes, image, level Handle, bins, samples int) (Handle, *Error) {
	return one(C.di_roi_align((*C.di_tensor)(unsafe.Pointer(unsafe.SliceData(levels))), (*C.double)(unsafe.SliceData(scales)),
		C.size_t(len(levels)), C.di_tensor(boxes), C.di_tensor(image), C.di_tensor(level), C.int64_t(bins), C.int64_t(samples)))
}

// MaskDice returns the dice loss of dynamic masks, (M): features (B,C,h,w),
// filters (M,params) of ascending images, truths uint8 (G,h·w), of which truth, int64 (M) on the CPU, picks.
func MaskDice(features, filters Handle, image []int64, truths, truth Handle, layers int) (Handle, *Error) {
	return one(C.di_mask_dice(C.di_tensor(features), C.di_tensor(filters), (*C.int64_t)(unsafe.SliceData(image)),
		C.di_tensor(truths), C.di_tensor(truth), C.size_t(len(image)), C.int64_t(layers)))
}

// SmallBmm returns the product of each pair of small matrices (B,m,k) and (B,k,n), on the CPU.
func SmallBmm(a, b Handle) (Handle, *Error) {
	return one(C.di_small_bmm(C.di_tensor(a), C.di_tensor(b)))
}

// UpsampleAligned returns the aligned bilinear upsampling of (B,C,h,w) by a whole factor, on the CPU.
func UpsampleAligned(x Handle, factor int) (Handle, *Error) {
	return one(C.di_upsample_aligned(C.di_tensor(x), C.int64_t(factor)))
}

// NMS returns the indices of the boxes (x1 y1 x2 y2 each) that survive, best
// first. Only boxes of one class compete; nil classes make all compete.
func NMS(boxes, scores []float32, classes []int64, threshold float64) ([]int64, *Error) {
	keep := make([]int64, len(scores))
	var kept C.size_t
	e := takeError(C.di_nms((*C.float)(unsafe.SliceData(boxes)), (*C.float)(unsafe.SliceData(scores)), (*C.int64_t)(unsafe.SliceData(classes)),
		C.size_t(len(scores)), C.double(threshold), (*C.int64_t)(unsafe.SliceData(keep)), &kept))
	return keep[:kept], e
}

// Masks writes one bit mask per instance into words, rows of rowWords words each.
// features is (C,H,W), filters (n, params), boxes half-open pixel ranges (n, 4); input
// and output are height and width. See di_mask_image in kernels.h for the rest.
func Masks(features, filters Handle, boxes []int32, words [][]uint64, rowWords, layers, stride int, input, output [2]int, threshold float32) *Error {
	var pin runtime.Pinner
	defer pin.Unpin()
	pointers := make([]unsafe.Pointer, len(words))
	for i, w := range words {
		if len(w) < output[0]*rowWords {
			return &Error{"a mask's memory is too small"}
		}
		if len(w) > 0 {
			pin.Pin(&w[0])
			pointers[i] = unsafe.Pointer(&w[0])
		}
	}
	if len(boxes) != 4*len(words) {
		return &Error{"the numbers of boxes and masks do not agree"}
	}
	image := C.di_mask_image{
		layers: C.int64_t(layers), stride: C.int64_t(stride), threshold: C.float(threshold),
		input_h: C.int64_t(input[0]), input_w: C.int64_t(input[1]), output_h: C.int64_t(output[0]), output_w: C.int64_t(output[1]),
	}
	return takeError(C.di_masks(&image, C.di_tensor(features), C.di_tensor(filters), (*C.int32_t)(unsafe.SliceData(boxes)), C.size_t(len(words)),
		(**C.uint64_t)(unsafe.Pointer(unsafe.SliceData(pointers))), C.size_t(rowWords)))
}
