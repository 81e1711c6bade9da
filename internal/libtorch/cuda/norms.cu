// Layer norm on a GPU with what is around it, in one pass; see norms.cc. Rows have SIZE numbers and a warp each.
// X, WEIGHT, OUT and SECOND are the types of tensors.

using T = SCALAR;

constexpr int kWarps = 4, kEach = (SIZE + 31) / 32;

// warp_sum returns the sum over the lanes of a warp, in one order for all. parts is the warp's, for one sum.
__device__ T warp_sum(T v, T* parts) {
  parts[threadIdx.x % 32] = v;
  __syncwarp();
  T sum = 0;
#pragma unroll
  for (int i = 0; i < 32; i++) sum += parts[i];
  return sum;
}

// out = norm(x + residual)·weight + bias, at least 0 with RELU. second is the same or, with a modulation
// (B, 2·SIZE) of the rows of each of B pictures, out·(1 + scale) + shift. residual, modulation and second may be null.
extern "C" __global__ void layer_norm(const X* x, const T* residual, const WEIGHT* weight, const WEIGHT* bias,
                                      const T* modulation, OUT* out, SECOND* second, long long rows,
                                      long long rows_per_picture, double eps) {
  __shared__ T parts[2][kWarps][32];
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  long long row = static_cast<long long>(blockIdx.x) * kWarps + warp, first = row * SIZE;
  if (row >= rows) return;
  T v[kEach], sum = 0, squares = 0;
#pragma unroll
  for (int k = 0; k < kEach; k++) {
    int i = lane + 32 * k;
    v[k] = 0;
    if (i >= SIZE) continue;
    v[k] = number(x[first + i]);
    if (residual != nullptr) v[k] += residual[first + i];
    sum += v[k];
  }
  T mean = warp_sum(sum, parts[0][warp]) / T(SIZE);
#pragma unroll
  for (int k = 0; k < kEach; k++) {
    if (lane + 32 * k < SIZE) squares += (v[k] - mean) * (v[k] - mean);
  }
  T inverse = T(1) / sqrt(warp_sum(squares, parts[1][warp]) / T(SIZE) + T(eps));
  const T* scale = modulation == nullptr ? nullptr : modulation + row / rows_per_picture * 2 * SIZE;
#pragma unroll
  for (int k = 0; k < kEach; k++) {
    int i = lane + 32 * k;
    if (i >= SIZE) continue;
    T y = (v[k] - mean) * inverse * T(number(weight[i])) + T(number(bias[i]));
    if (RELU && y < T(0)) y = T(0);  // propagates NaN
    put(out + first + i, y);
    if (scale != nullptr) y = y * (scale[i] + T(1)) + scale[SIZE + i];
    if (second != nullptr) put(second + first + i, y);
  }
}
