// Fused kernels, where LibTorch has no operator. Those of RoIAlign, the dice loss and
// masks also run on a GPU (gpu.h), the others on the CPU alone.
#pragma once
#include "libtorch.h"

#ifdef __cplusplus
extern "C" {
#endif

// Puts large tensors on the CPU into huge pages from now on; see allocator.cc.
void di_use_huge_pages(void) DI_NOEXCEPT;

// Keeps freed memory of tensors on the CPU for the next ones, as long as more calls said
// true than false; the bytes it holds for that, in use or not.
void di_cache_memory(bool on) DI_NOEXCEPT;
size_t di_cached_memory(void) DI_NOEXCEPT;

// RoIAlign over a feature pyramid; see roi_align.cc.
di_result1 di_roi_align(const di_tensor* levels, const double* scales, size_t n_levels, di_tensor boxes,
                        di_tensor image, di_tensor level, int64_t bins, int64_t samples) DI_NOEXCEPT;

// The dice loss of dynamic masks, (M); see mask_dice.cc. features (B,C,h,w), filters
// (M,params) sorted by image (n = M), truths uint8 (G,h·w) of which truth int64 (M) picks.
di_result1 di_mask_dice(di_tensor features, di_tensor filters, const int64_t* image, di_tensor truths,
                        di_tensor truth, size_t n, int64_t layers) DI_NOEXCEPT;

// The product of each pair of small matrices (B,m,k) and (B,k,n); see small_bmm.cc.
di_result1 di_small_bmm(di_tensor a, di_tensor b) DI_NOEXCEPT;

// Threads that compute one thing together; see group.h. After abort all that wait, and
// all that come later, get an error.
typedef struct di_group_s* di_group;
di_group di_group_new(size_t members) DI_NOEXCEPT;
void di_group_free(di_group group) DI_NOEXCEPT;
void di_group_abort(di_group group) DI_NOEXCEPT;

// Batch norm in training, with a ReLU after it or without; see batch_norm.cc. mean and
// variance, the running ones, may be NULL. With a group, of which the caller is member rank, the
// statistics are those of all members.
di_result1 di_batch_norm(di_tensor x, di_tensor weight, di_tensor bias, di_tensor mean, di_tensor variance,
                         double momentum, double eps, bool relu, di_group group, size_t rank) DI_NOEXCEPT;

// What an optimiser does to all parameters at once; see optimize.cc. di_clip_norm scales the
// gradients so that their norm is at most limit (0 only measures) and says what it was.
di_error* di_clip_norm(const di_tensor* parameters, size_t n, double limit, double* norm) DI_NOEXCEPT;
// Moves the gradients of other leaves to those of as many, or adds them where there are some.
di_error* di_add_grads(const di_tensor* to, const di_tensor* from, size_t n) DI_NOEXCEPT;
// AdamW for the parameters that have a gradient, whose steps it counts.
di_error* di_adamw(const di_tensor* parameters, const di_tensor* means, const di_tensor* squares, int64_t* steps,
                   size_t n, double rate, double decay, double beta1, double beta2, double eps) DI_NOEXCEPT;
// to += weight·(end − to) for each pair.
di_error* di_lerp(const di_tensor* to, const di_tensor* ends, size_t n, double weight) DI_NOEXCEPT;

// Aligned bilinear upsampling of (B,C,h,w) by a whole factor; see upsample.cc.
di_result1 di_upsample_aligned(di_tensor x, int64_t factor) DI_NOEXCEPT;

// Greedy non-maximum suppression; see nms.cc. classes may be NULL. Returns the
// number of kept boxes, whose indices stand in keep, best first.
di_error* di_nms(const float* boxes, const float* scores, const int64_t* classes, size_t n, double threshold,
                 int64_t* keep, size_t* kept) DI_NOEXCEPT;

// What di_masks needs to know of one image; see masks.cc.
typedef struct {
  int64_t layers;               // 1×1 convolutions of a filter set, all hidden ones as wide as the features
  int64_t input_h, input_w;     // the unpadded network input
  int64_t output_h, output_w;   // the masks
  int64_t stride;               // of the mask features in the padded input
  float threshold;              // of the probability
} di_mask_image;

// Writes one bit mask an instance: features (channels, height, width) of the padded input,
// filters (n, params), both float32 on one device, boxes as half-open pixel ranges (n, 4)
// x0 y0 x1 y1, rows of row_words 64-bit words, zero to begin with.
di_error* di_masks(const di_mask_image* image, di_tensor features, di_tensor filters, const int32_t* boxes, size_t n,
                   uint64_t* const* words, size_t row_words) DI_NOEXCEPT;

// Gives the name and text of a source in cuda/; see gpu.h.
void di_gpu_source(const char* name, const char* text) DI_NOEXCEPT;

#ifdef __cplusplus
}
#endif
