// Layer norm on a GPU with what is around it, in one pass; see norms.hpp. Rows have SIZE numbers and a warp each.
// X, WEIGHT, OUT and SECOND are the types of tensors.

#include "warps.cuh"

constexpr int kWarps = 4, kEach = (SIZE + 31) / 32;

// normalise returns how much v is above its mean, and 1/σ in inverse. parts is the warp's.
__device__ inline void normalise(T* v, T& inverse, double eps, T (*parts)[32]) {
  int lane = threadIdx.x % 32;
  T sum = 0, squares = 0;
#pragma unroll
  for (int k = 0; k < kEach; k++) sum += v[k];
  T mean = warp_sum(sum, parts[0]) / T(SIZE);
#pragma unroll
  for (int k = 0; k < kEach; k++) {
    if (lane + 32 * k >= SIZE) continue;
    v[k] -= mean;
    squares += v[k] * v[k];
  }
  inverse = T(1) / sqrt(warp_sum(squares, parts[1]) / T(SIZE) + T(eps));
}

// out = norm(x + residual)·weight + bias, at least 0 with RELU. With INNER x is first replaced by
// relu(norm(x)·inner_weight + inner_bias). second is the same as out or, with a modulation of the rows of each of B
// pictures, 2·SIZE numbers every modulation_step, out·(1 + scale) + shift. residual, modulation and second may be null.
extern "C" __global__ void layer_norm(const X* x, const WEIGHT* inner_weight, const WEIGHT* inner_bias, const T* residual,
                                      const WEIGHT* weight, const WEIGHT* bias, const T* modulation, long long modulation_step,
                                      OUT* out, SECOND* second, long long rows, long long rows_per_picture, double eps) {
  __shared__ T parts[kWarps][4][32];
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  long long row = static_cast<long long>(blockIdx.x) * kWarps + warp, first = row * SIZE;
  if (row >= rows) return;
  T v[kEach], inverse;
#pragma unroll
  for (int k = 0; k < kEach; k++) v[k] = lane + 32 * k < SIZE ? number(x[first + lane + 32 * k]) : T(0);
  if (INNER) {
    normalise(v, inverse, eps, parts[warp] + 2);
#pragma unroll
    for (int k = 0; k < kEach; k++) {
      int i = lane + 32 * k;
      if (i >= SIZE) continue;
      v[k] = v[k] * inverse * T(number(inner_weight[i])) + T(number(inner_bias[i]));
      if (v[k] < T(0)) v[k] = T(0);  // propagates NaN
    }
  }
  if (residual != nullptr) {
#pragma unroll
    for (int k = 0; k < kEach; k++) {
      if (lane + 32 * k < SIZE) v[k] += residual[first + lane + 32 * k];
    }
  }
  normalise(v, inverse, eps, parts[warp]);
  const T* scale = modulation == nullptr ? nullptr : modulation + row / rows_per_picture * modulation_step;
#pragma unroll
  for (int k = 0; k < kEach; k++) {
    int i = lane + 32 * k;
    if (i >= SIZE) continue;
    T y = v[k] * inverse * T(number(weight[i])) + T(number(bias[i]));
    if (RELU && y < T(0)) y = T(0);  // propagates NaN
    put(out + first + i, y);
    if (scale != nullptr) y = y * (scale[i] + T(1)) + scale[SIZE + i];
    if (second != nullptr) put(second + first + i, y);
  }
}
