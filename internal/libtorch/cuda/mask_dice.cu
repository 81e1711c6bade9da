// The dice loss of dynamic masks on a GPU, forward and backward; see mask_dice.hpp. STORED is
// the type of features, TRUTH that of truths, CHANNELS and LAYERS describe the filters, TILE is the number of
// threads per block of the backward pass. One block per instance loops over the pixels of its image.

#include "block_sum.cuh"

constexpr int kHidden = LAYERS - 1;
constexpr int kBias = kHidden * CHANNELS * CHANNELS + CHANNELS;  // where the biases begin
constexpr int kParams = kBias + kHidden * CHANNELS + 1;

// The activations of one pixel in an instance's layers.
struct Pixel {
  T h[LAYERS][CHANNELS];  // inputs of each layer
  T p;

  __device__ void forward(const T* filter, const STORED* features, long long plane) {
#pragma unroll
    for (int c = 0; c < CHANNELS; c++) h[0][c] = number(features[c * plane]);
#pragma unroll
    for (int l = 0; l < kHidden; l++) {
#pragma unroll
      for (int o = 0; o < CHANNELS; o++) {
        T sum = filter[kBias + l * CHANNELS + o];
#pragma unroll
        for (int c = 0; c < CHANNELS; c++) sum += filter[(l * CHANNELS + o) * CHANNELS + c] * h[l][c];
        h[l + 1][o] = sum < T(0) ? T(0) : sum;  // propagates NaN
      }
    }
    T z = filter[kBias + kHidden * CHANNELS];
#pragma unroll
    for (int c = 0; c < CHANNELS; c++) z += filter[kHidden * CHANNELS * CHANNELS + c] * h[kHidden][c];
    p = T(1) / (T(1) + exp(-z));
  }
};

// Writes the losses (M) and, for the backward pass, sums (M,2): Σpg and Σp²+Σg²+ε.
extern "C" __global__ void mask_dice(const STORED* features, const T* filters, const long long* image,
                                     const TRUTH* truths, const long long* truth, T* losses, T* sums,
                                     long long pixels) {
  __shared__ T filter[kParams];
  long long m = blockIdx.x;
  for (int i = threadIdx.x; i < kParams; i += blockDim.x) filter[i] = filters[m * kParams + i];
  __syncthreads();
  const STORED* plane = features + image[m] * CHANNELS * pixels;
  const TRUTH* mask = truths + truth[m] * pixels;
  T pg = 0, squares = 0;
  for (long long i = threadIdx.x; i < pixels; i += blockDim.x) {
    Pixel x;
    x.forward(filter, plane + i, pixels);
    T g = number(mask[i]);
    pg += x.p * g;
    squares += x.p * x.p + g * g;
  }
  pg = block_sum(pg);
  squares = block_sum(squares) + T(1e-5);
  if (threadIdx.x == 0) {
    sums[2 * m] = pg;
    sums[2 * m + 1] = squares;
    losses[m] = T(1) - T(2) * pg / squares;
  }
}

// Adds to the gradient of the features (B,C,P) and writes that of the filters (M,params).
extern "C" __global__ void mask_dice_backward(const STORED* features, const T* filters, const long long* image,
                                              const TRUTH* truths, const long long* truth, const T* sums,
                                              const T* grad, T* dfeatures, T* dfilters, long long pixels) {
  constexpr int kRows = LAYERS * CHANNELS, kOutputs = kHidden * CHANNELS + 1;
  constexpr int kEach = (kParams + TILE - 1) / TILE;
  __shared__ T filter[kParams];
  __shared__ T inputs[kRows][TILE + 1], slopes[kOutputs][TILE + 1];  // inputs of the layers; gradients of their outputs
  long long m = blockIdx.x;
  int t = threadIdx.x;
  for (int i = t; i < kParams; i += TILE) filter[i] = filters[m * kParams + i];
  __syncthreads();
  long long first = image[m] * CHANNELS * pixels;
  const TRUTH* mask = truths + truth[m] * pixels;
  T s = sums[2 * m + 1], slope0 = T(-2) * grad[m] / s, slope1 = T(4) * grad[m] * sums[2 * m] / (s * s);
  T total[kEach] = {};
  for (long long base = 0; base < pixels; base += TILE) {
    long long i = base + t;
    bool valid = i < pixels;
    Pixel x;
    x.forward(filter, features + first + (valid ? i : 0), pixels);
    T g = valid ? T(number(mask[i])) : T(0);
    T up[CHANNELS], last = valid ? (slope0 * g + slope1 * x.p) * x.p * (T(1) - x.p) : T(0);
    slopes[kOutputs - 1][t] = last;
#pragma unroll
    for (int l = 0; l < LAYERS; l++) {
#pragma unroll
      for (int c = 0; c < CHANNELS; c++) inputs[l * CHANNELS + c][t] = x.h[l][c];
    }
#pragma unroll
    for (int c = 0; c < CHANNELS; c++) up[c] = filter[kHidden * CHANNELS * CHANNELS + c] * last;
#pragma unroll
    for (int l = kHidden - 1; l >= 0; l--) {
      T down[CHANNELS] = {};
#pragma unroll
      for (int o = 0; o < CHANNELS; o++) {
        T u = x.h[l + 1][o] > T(0) ? up[o] : T(0);
        slopes[l * CHANNELS + o][t] = u;
#pragma unroll
        for (int c = 0; c < CHANNELS; c++) down[c] += filter[(l * CHANNELS + o) * CHANNELS + c] * u;
      }
#pragma unroll
      for (int c = 0; c < CHANNELS; c++) up[c] = down[c];
    }
    if (valid) {
#pragma unroll
      for (int c = 0; c < CHANNELS; c++) atomicAdd(dfeatures + first + c * pixels + i, up[c]);
    }
    __syncthreads();
#pragma unroll
    for (int k = 0; k < kEach; k++) {
      int q = t + k * TILE;
      if (q >= kParams) break;
      const T* out = slopes[q < kBias ? q / CHANNELS : q - kBias];
      T sum = 0;
      if (q < kBias) {
        // Weight q connects input c of layer l, which is row l·C + c, to output q/C.
        const T* in = inputs[q / (CHANNELS * CHANNELS) * CHANNELS + q % CHANNELS];
        for (int i = 0; i < TILE; i++) sum += out[i] * in[i];
      } else {
        for (int i = 0; i < TILE; i++) sum += out[i];
      }
      total[k] += sum;
    }
    __syncthreads();
  }
#pragma unroll
  for (int k = 0; k < kEach; k++) {
    if (t + k * TILE < kParams) dfilters[m * kParams + t + k * TILE] = total[k];
  }
}
