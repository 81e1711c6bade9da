// Fused kernels that LibTorch lacks. RoIAlign, the dice loss, the masks and self-attention also run on GPUs (gpu.h); layer
// norms with what is around them, deltas and predictions of boxes, the losses of all stages, and RoIAlign with the dynamic convolution on GPUs only; the
// others on the CPU only.
#pragma once
#include "libtorch.h"

#ifdef __cplusplus
extern "C" {
#endif

// Allocates large CPU tensors in huge pages from now on; see allocator.hpp.
void di_use_huge_pages(void) DI_NOEXCEPT;

// The name of the kernels that OpenBLAS uses, "" if there is no OpenBLAS; see blas.hpp.
const char* di_blas_core(void) DI_NOEXCEPT;

// Says whether OpenMP's threads sleep at once while they wait for work, or spin first; see blas.hpp.
void di_sleep_while_waiting(bool sleep) DI_NOEXCEPT;

// The cache of freed CPU memory; see allocator.hpp. It serves tensors while it has users, and keeps what
// is free while it has keepers: both numbers change by what is given. di_cached_memory returns the
// bytes that it holds, in use or free.
void di_cache_memory(int users, int keepers) DI_NOEXCEPT;
size_t di_cached_memory(void) DI_NOEXCEPT;

// What all threads have done since the process began; see count.hpp. Operators, layouts and products
// are counted between di_count(true) and di_count(false).
typedef struct {
  int64_t operators;  // called by this module, not by other operators
  int64_t layouts;    // copies of a tensor into another order of memory
  int64_t bytes;      // that tensors on the CPU have asked for
  int64_t flop;       // of matrix products and convolutions: two for a multiplication and an addition
  int64_t launches;   // of this module's kernels on GPUs
  int64_t started;    // operators that start work on a GPU, without views and without this module's kernels
  int64_t transfers;  // copies between the host and GPUs
  int64_t waits;      // operators in which the host waits for a GPU
} di_counts;
void di_count(bool on) DI_NOEXCEPT;
di_counts di_counted(void) DI_NOEXCEPT;

// The multiply-adds in float32 that one core does in a second, times two: the best of short runs of
// its widest vectors; see peak.hpp.
double di_peak_rate(void) DI_NOEXCEPT;

// Limits the vectors of this module's kernels to so many bytes, 16, 32 or 64, and returns those that they have now: tests
// run what other processors would.
int di_simd(int most) DI_NOEXCEPT;

// RoIAlign over a feature pyramid; see roi_align.hpp.
// level may be NULL on a GPU: each box is then pooled from the level for its size.
di_result1 di_roi_align(const di_tensor* levels, const double* scales, size_t n_levels, di_tensor boxes,
                        di_tensor image, di_tensor level, int64_t bins, int64_t samples) DI_NOEXCEPT;

// The dice loss (M) of dynamic masks; see mask_dice.hpp. features (B,C,h,w); filters (M,params)
// in ascending order of image, n = M; truths (G,h·w), uint8 of 0 and 1 or of the features' type; truth
// int64 (M) on the CPU: the row of truths of each filter.
di_result1 di_mask_dice(di_tensor features, di_tensor filters, const int64_t* image, di_tensor truths,
                        di_tensor truth, size_t n, int64_t layers) DI_NOEXCEPT;

// The losses of all supervised decoder stages on a GPU, weighted, (S,4): of classes, L1 and 1 − GIoU of boxes, dice of
// masks; see stage_losses.hpp. Predictions of each of the stages are logits (B,N,classes), boxes (B,N,4), x1 y1 x2 y2 in pixels, and
// filters (B,N,params); features are (B,C,h,w).
typedef struct {
  double weights[4], alpha, gamma;  // of the losses; the focal loss's constants
  bool focal;                       // false for plain binary cross entropy
  int quality;                      // what the scores of pairs learn: 0 for 1, 1 for the IoU of boxes, 2 for that of masks
  bool columns;                     // the plan says which classes count
  int64_t layers;                   // of the filters
  int64_t pairs;                    // M: of a proposal and an object, at all stages
} di_stage_loss_options;
typedef struct {
  di_tensor masks;  // (G,h·w), uint8 of 0 and 1, or parts of pixels in a type that kernels compute in
  di_tensor boxes;  // float32 (G,4)
  di_tensor sizes;  // float32 (B,2): width and height of the pictures
  di_tensor kinds;  // int64 (2,G): the objects' classes, and whether any of their pixels is set
  // int64, of all stages one after the other: the pair of each proposal or −1, (S·B·N); of the pairs, in the order of the
  // stages, the proposal among all (M), the picture (M) and the object (M); the first pair of each stage, and M, (S+1); the
  // number that each stage's losses are divided by (S); with columns whether a class counts (S·classes).
  di_tensor plan;
} di_stage_targets;
di_result1 di_stage_losses(const di_stage_loss_options* options, const di_stage_targets* targets, di_tensor features,
                           const di_tensor* logits, const di_tensor* boxes, const di_tensor* filters, size_t stages) DI_NOEXCEPT;

// Linear maps x·weightᵀ + bias and convolutions of (B,C,H,W) in two dimensions that do not depend on
// the BLAS that is installed; see products.hpp. bias may be NULL; stride and padding have two entries.
di_result1 di_linear(di_tensor x, di_tensor weight, di_tensor bias) DI_NOEXCEPT;
di_result1 di_convolution(di_tensor x, di_tensor weight, di_tensor bias, const int64_t* stride,
                          const int64_t* padding) DI_NOEXCEPT;

// Products with what follows them, which without gradients are one launch on a GPU; see activations.hpp.
// bias and add may be NULL: max(0, convolution + add), whose add a GPU takes into its sum, and max(0, linear map).
di_result1 di_convolution_relu(di_tensor x, di_tensor weight, di_tensor bias, di_tensor add, const int64_t* stride,
                               const int64_t* padding) DI_NOEXCEPT;
di_result1 di_linear_relu(di_tensor x, di_tensor weight, di_tensor bias) DI_NOEXCEPT;
// softmax(q·kᵀ/√E)·v of (B,H,N,E): one launch from LibTorch 2.0 on.
di_result1 di_scaled_attention(di_tensor q, di_tensor k, di_tensor v) DI_NOEXCEPT;

// Layer norm on a GPU with what is around it; see norms.hpp.
typedef struct {
  double eps;
  bool relu;
  int out, second;  // types of the results; second < 0 for none
} di_layer_norm_options;
// The norm of x + residual over its last dimension, where relu(norm of x) takes the place of x if inner is not two NULLs but the weight and
// bias of that norm; the second result is the same in another type or, with a
// modulation (B, 2·size), a·(1 + scale) + shift for the rows of each picture, and NULL if not wanted. residual and
// modulation may be NULL.
di_result2 di_layer_norm(const di_layer_norm_options* options, di_tensor x, const di_tensor* inner, di_tensor residual, di_tensor weight,
                         di_tensor bias, di_tensor modulation) DI_NOEXCEPT;

// Boxes (…,4) on a GPU moved and scaled by deltas (…,4); see boxes.hpp.
di_result1 di_apply_deltas(di_tensor boxes, di_tensor deltas, double weight, double growth) DI_NOEXCEPT;

// Predicts boxes of n proposals on a GPU without gradients; see predict_boxes.hpp. x is (n,d); each of the layers is
// relu(norm(x·W)): matrices (layers,d,d) holds W of (in,out), norms (layers,2,d) weight and bias. The first result is boxes (n,4)
// moved and scaled by x·deltaᵀ + bias, delta (4,d); the second what the layers give, (n,d), NULL unless keep is set.
typedef struct {
  double eps, centre_weight, growth;  // centres' deltas are divided by the second; sizes grow at most by e^growth
  bool keep;
} di_boxes_options;
di_result2 di_predict_boxes(const di_boxes_options* options, di_tensor x, di_tensor matrices, di_tensor norms, di_tensor delta,
                            di_tensor bias, di_tensor boxes) DI_NOEXCEPT;

// What di_dynamic_conv gives, (R,bins²,d), for features that are pooled as by di_roi_align, without gradients; see dynamic_conv.hpp.
// On a GPU level is not read.
di_result1 di_dynamic_conv_pooled(const di_tensor* levels, const double* scales, size_t n_levels, di_tensor boxes, di_tensor image,
                                  di_tensor level, di_tensor matrices, const di_tensor* norms, int64_t bins, int64_t samples, double eps) DI_NOEXCEPT;

// 3×3 convolutions of stride 1 and padding 1 with fewer multiplications, in float32 on the CPU; see
// winograd.hpp. di_winograd_fits reports whether there is one of these numbers of channels for the processor,
// di_winograd_weight prepares the weight (out,in,3,3), and di_winograd returns the convolution of (B,in,H,W), plus add
// and with a ReLU if asked for, without gradients. di_winograd_learned takes the weight as it is, and has gradients. bias and add may be NULL.
bool di_winograd_fits(int64_t in, int64_t out) DI_NOEXCEPT;
di_result1 di_winograd_weight(di_tensor weight) DI_NOEXCEPT;
di_result1 di_winograd(di_tensor x, di_tensor weight, int64_t out, di_tensor bias, di_tensor add, bool relu) DI_NOEXCEPT;
di_result1 di_winograd_learned(di_tensor x, di_tensor weight, di_tensor bias) DI_NOEXCEPT;

// Convolutions of 8-bit numbers on the CPU, without gradients; see int8.hpp. A range's numbers are (q − zero)·step for q from 0 to 255.
// The weight (K,C,h,w) is rounded for each of the K channels apart; bias may be NULL. x is float32, or what a convolution with keep
// returned, whose range then is out of that one. The result is float32 unless keep is set; with add it is max(0, result + add).
typedef struct di_int8_convolution_s* di_int8_convolution;
typedef struct {
  di_int8_convolution convolution;
  di_error* error;
} di_int8_result;
typedef struct {
  double step;
  int64_t zero;
} di_int8_range;
di_int8_result di_int8_pack(di_tensor weight, di_tensor bias, const int64_t* stride, const int64_t* padding, bool relu) DI_NOEXCEPT;
void di_int8_free(di_int8_convolution c) DI_NOEXCEPT;
typedef struct {
  di_int8_range in, out;
  bool keep;
} di_int8_options;
bool di_has_int8(void) DI_NOEXCEPT;  // whether LibTorch has them
di_result1 di_int8_convolve(di_int8_convolution c, di_tensor x, di_tensor add, const di_int8_options* options) DI_NOEXCEPT;

// The product of each pair of small matrices (B,m,k) and (B,k,n); see small_bmm.hpp.
di_result1 di_small_bmm(di_tensor a, di_tensor b) DI_NOEXCEPT;

// The decoder's dynamic convolution in float32 on the CPU, and its self-attention there and on GPUs, without gradients; see
// decoder.hpp. rois (R,P,d) and matrices (R,2·d·w) give relu(norm(relu(norm(rois·A))·B)), (R,P,d); norms
// are weight and bias of both layer norms; d and w are multiples of 16. qkv (B,N,3·d) gives (B,N,d).
di_result1 di_dynamic_conv(di_tensor rois, di_tensor matrices, const di_tensor* norms, double eps) DI_NOEXCEPT;
di_result1 di_attention(di_tensor qkv, int64_t heads) DI_NOEXCEPT;

// Threads that share the statistics of batch norm; see group.h. di_group_abort makes all
// waiting and later calls fail.
typedef struct di_group_s* di_group;
di_group di_group_new(size_t members) DI_NOEXCEPT;
// A group whose members meet in a function of the Go side, a cgo.Handle; see group.go.
di_group di_group_elsewhere(uintptr_t function) DI_NOEXCEPT;
void di_group_free(di_group group) DI_NOEXCEPT;
void di_group_abort(di_group group) DI_NOEXCEPT;

// Batch norm in training, optionally followed by a ReLU; see batch_norm.hpp. The running mean
// and variance, which are updated, may be NULL. If group is not NULL, the caller is its member
// rank and the statistics are taken over the batches of all members.
di_result1 di_batch_norm(di_tensor x, di_tensor weight, di_tensor bias, di_tensor mean, di_tensor variance,
                         double momentum, double eps, bool relu, di_group group, size_t rank) DI_NOEXCEPT;

// Optimiser operations on all parameters at once; see optimize.hpp. di_clip_norm stores the norm
// of the gradients and scales them so that it is at most limit; a limit of 0 only measures.
di_error* di_clip_norm(const di_tensor* parameters, size_t n, double limit, double* norm) DI_NOEXCEPT;
// Multiplies the gradients of n leaves.
di_error* di_scale_grads(const di_tensor* parameters, size_t n, double factor) DI_NOEXCEPT;
// Adds the gradient of each of n leaves to that of another, and clears it.
di_error* di_add_grads(const di_tensor* to, const di_tensor* from, size_t n) DI_NOEXCEPT;
// A step of AdamW for the parameters that have a gradient; their steps are counted up.
di_error* di_adamw(const di_tensor* parameters, const di_tensor* means, const di_tensor* squares, int64_t* steps,
                   size_t n, double rate, double decay, double beta1, double beta2, double eps) DI_NOEXCEPT;
// to += weight·(end − to) for each pair.
di_error* di_lerp(const di_tensor* to, const di_tensor* ends, size_t n, double weight) DI_NOEXCEPT;

// Aligned bilinear upsampling of (B,C,h,w) by an integer factor; see upsample.hpp.
di_result1 di_upsample_aligned(di_tensor x, int64_t factor) DI_NOEXCEPT;

// Greedy non-maximum suppression; see nms.hpp. classes may be NULL. Stores the indices of the
// kept boxes in keep, best first, and their number in kept.
di_error* di_nms(const float* boxes, const float* scores, const int64_t* classes, size_t n, double threshold,
                 int64_t* keep, size_t* kept) DI_NOEXCEPT;

// The same on a GPU, without waiting for it, for the candidates of all views at once: rows (E,B,N,7 or more) of float32 begin with the
// score, the proposal and the class of a candidate, and the box of proposal j. Candidates below the least score do not
// count; if apart, boxes suppress only boxes of their own evaluation. The result is int32 (B,E·N+1): the number of candidates kept, and their
// numbers e·N + j, best first. A view may have DI_NMS_MOST candidates.
#define DI_NMS_MOST 8192
typedef struct {
  double least, threshold;
  bool apart;
} di_nms_options;
di_result1 di_nms_rows(di_tensor rows, const di_nms_options* options) DI_NOEXCEPT;

// The geometry of one image's masks; see masks.hpp.
typedef struct {
  int64_t layers;               // 1×1 convolutions per filter set, the hidden ones as wide as the features
  int64_t input_h, input_w;     // size of the unpadded network input
  int64_t output_h, output_w;   // size of the masks
  int64_t stride;               // of the mask features, in pixels of the padded input
  float threshold;              // a pixel is set if its probability exceeds it
} di_mask_image;

// Writes one bit mask per instance. features (channels, height, width) of the padded input and
// filters (n, params) are float32 on one device; boxes are half-open pixel ranges (n, 4), x0 y0
// x1 y1. words are the rows of each box, of 64 pixels to a word: the word of x0 up to that of
// x1 − 1, aligned to the output (pixel x is bit x % 64). They must be zero.
di_error* di_masks(const di_mask_image* image, di_tensor features, di_tensor filters, const int32_t* boxes, size_t n,
                   uint64_t* const* words) DI_NOEXCEPT;

// Sums of an instance's probabilities over the features in a box, and over the mask, where they exceed ½.
typedef struct {
  int64_t count;            // of the mask's features
  double inside, all;       // of probabilities in the mask and in the box
  int32_t x0, y0, x1, y1;   // the smallest box around the mask, half-open; meaningless if count is 0
} di_mask_sums;

// Writes the sums of each filter set; features (channels, height, width) and filters (n, params), float32, are on the
// CPU; boxes are half-open ranges of features (n, 4), x0 y0 x1 y1.
di_error* di_masks_sums(di_tensor features, di_tensor filters, int64_t layers, const int32_t* boxes, size_t n, di_mask_sums* sums) DI_NOEXCEPT;

// The calling thread's own stream of a GPU; see stream.hpp. di_stream_enter makes it LibTorch's current one and stores
// its number and that of the stream before, behind whose work its own waits. di_stream_leave makes the one before
// current again, whose further work waits for that of the thread's own.
di_error* di_stream_enter(int device, int64_t* own, int64_t* before) DI_NOEXCEPT;
di_error* di_stream_leave(int device, int64_t own, int64_t before) DI_NOEXCEPT;

// Events in a GPU's work that know when it reached them. di_event_record puts one into the calling thread's current
// stream; an event must be freed even if that fails, unless it is NULL. di_event_seconds waits until the GPU has reached both.
typedef struct di_event_s* di_event;
di_error* di_event_record(int device, di_event* event) DI_NOEXCEPT;
di_error* di_event_seconds(int device, di_event first, di_event last, double* seconds) DI_NOEXCEPT;
void di_event_free(int device, di_event event) DI_NOEXCEPT;

// Work on a GPU that is recorded once and then launched as a whole; see graph.hpp. What operators of the calling thread
// start between di_graph_begin and di_graph_end is not done but recorded. beside may be NULL, or a graph of
// the same stream that lives, whose memory the new one shares. A graph whose recording failed must be freed, too.
typedef struct di_graph_s* di_graph;
bool di_graphs(void) DI_NOEXCEPT;  // whether this LibTorch has them
di_error* di_graph_begin(int device, di_graph beside, di_graph* graph) DI_NOEXCEPT;
di_error* di_graph_end(di_graph graph) DI_NOEXCEPT;
di_error* di_graph_launch(di_graph graph) DI_NOEXCEPT;
void di_graph_free(di_graph graph) DI_NOEXCEPT;

// The gradients of parameters of one type on one GPU, in buckets; see buckets.hpp. The gradients of the last parameters are in the first.
// sum is a cgo.Handle of a function that enqueues in the buckets' own stream what is to be done with n elements at an address.
// From di_buckets_arm on a bucket is given to it when the backward pass has added up the gradients of all its parameters
// and of all buckets before; di_buckets_rest gives it those that are left, and zeros where there is no gradient, and
// returns the first error. When *done of di_buckets_done is true, di_buckets_store makes what is in the buckets the gradients of
// parameters.
typedef struct di_buckets_s* di_buckets;
di_error* di_buckets_new(const di_tensor* parameters, size_t n, int64_t bytes, uintptr_t sum, di_buckets* out) DI_NOEXCEPT;
void di_buckets_free(di_buckets b) DI_NOEXCEPT;
size_t di_buckets_count(di_buckets b) DI_NOEXCEPT;
di_error* di_buckets_arm(di_buckets b) DI_NOEXCEPT;
di_error* di_buckets_rest(di_buckets b) DI_NOEXCEPT;
di_error* di_buckets_done(di_buckets b, bool* done) DI_NOEXCEPT;
di_error* di_buckets_store(di_buckets b, const int64_t* parameters, size_t n) DI_NOEXCEPT;

// The compute capability of a GPU times ten, such as 90; see gpu.h.
di_error* di_gpu_capability(int device, int* capability) DI_NOEXCEPT;

// Registers the name and text of a source in cuda/; see gpu.h.
void di_gpu_source(const char* name, const char* text) DI_NOEXCEPT;

#ifdef __cplusplus
}
#endif
