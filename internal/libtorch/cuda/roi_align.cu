// RoIAlign on a GPU, forward and backward; see roi_align.hpp. STORED is the type of features. One block
// per bin of a box; its threads divide the channels, which are contiguous in memory.

#include "pooling.cuh"

extern "C" __global__ void roi_align(Levels<STORED> levels, const T* boxes, const long long* image, const long long* level, STORED* out,
                                     int channels, int bins, int samples) {
  T share = T(1) / T(samples * samples);
  for (int c = threadIdx.x; c < channels; c += blockDim.x) {
    T sum = 0;
    each(levels, boxes, image, level, blockIdx.x / (bins * bins), blockIdx.x % (bins * bins), channels, bins, samples,
         [&](const STORED* at, T w) { sum += w * number(at[c]); });
    put(out + (long long)blockIdx.x * channels + c, sum * share);
  }
}

// Adds to the gradients of the levels, which are summed in SCALAR.
extern "C" __global__ void roi_align_backward(Levels<T> levels, const T* boxes, const long long* image,
                                              const long long* level, const STORED* grad, int channels, int bins, int samples) {
  T share = T(1) / T(samples * samples);
  for (int c = threadIdx.x; c < channels; c += blockDim.x) {
    T g = number(grad[(long long)blockIdx.x * channels + c]) * share;
    each(levels, boxes, image, level, blockIdx.x / (bins * bins), blockIdx.x % (bins * bins), channels, bins, samples,
         [&](T* at, T w) {
      if (w != T(0)) atomicAdd(at + c, w * g);
    });
  }
}
