// Predicts boxes x1 y1 x2 y2 on a GPU in one launch; see predict_boxes.hpp. A block computes four proposals, whose SIZE
// features stay in shared memory side by side. X is the type of features, WEIGHT of the layers' matrices.

#include "warps.cuh"

constexpr int kThreads = 256, kWarps = kThreads / 32;

// Each of `layers` layers is relu(norm(x·W)): matrices (layers, SIZE, SIZE) holds Wᵀ of PyTorch's weights, so that threads of a
// warp read neighbours, and norms (layers, 2, SIZE) weight and bias. What they give goes to features (n, SIZE), unless that is
// null, and to the deltas (dx, dy, dw, dh), x·deltaᵀ + delta_bias. These move centres by (dx, dy)/centre times the size,
// and scale sizes by exp of (dw, dh), of which at most growth counts.
extern "C" __global__ void predict_boxes(const X* x, const WEIGHT* matrices, const T* norms, int layers, const T* delta, const T* delta_bias,
                                         const T* boxes, T* out, T* features, long long n, double eps, double centre_weight, double growth) {
  __shared__ Four in[SIZE], made[SIZE];
  __shared__ T parts[kWarps][2][32], deltas[4][4];
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  long long first = static_cast<long long>(blockIdx.x) * 4;
  int rows = n - first < 4 ? static_cast<int>(n - first) : 4;
  for (int i = threadIdx.x; i < SIZE; i += kThreads) {
    for (int r = 0; r < 4; r++) in[i].v[r] = r < rows ? number(x[(first + r) * SIZE + i]) : T(0);
  }
  __syncthreads();
  for (int l = 0; l < layers; l++) {
    const WEIGHT* matrix = matrices + static_cast<long long>(l) * SIZE * SIZE;
    for (int c = threadIdx.x; c < SIZE; c += kThreads) {
      T sum[4] = {};
#pragma unroll 8
      for (int k = 0; k < SIZE; k++) {
        T m = number(matrix[k * SIZE + c]);
        Four f = in[k];
#pragma unroll
        for (int r = 0; r < 4; r++) sum[r] += f.v[r] * m;
      }
      for (int r = 0; r < 4; r++) made[c].v[r] = sum[r];
    }
    __syncthreads();
    if (warp < 4) norm_relu<SIZE>([&](int i) { return made[i].v + warp; }, norms + 2 * l * SIZE, norms + (2 * l + 1) * SIZE, T(eps), parts[warp]);
    __syncthreads();
    for (int i = threadIdx.x; i < SIZE; i += kThreads) in[i] = made[i];
    __syncthreads();
  }
  for (int r = 0; features != nullptr && r < rows; r++) {
    for (int i = threadIdx.x; i < SIZE; i += kThreads) features[(first + r) * SIZE + i] = in[i].v[r];
  }
  for (int k = 0; k < 2; k++) {  // two deltas of a row by each warp
    int row = warp / 2, which = warp % 2 * 2 + k;
    T sum = 0;
    for (int i = lane; i < SIZE; i += 32) sum += in[i].v[row] * delta[which * SIZE + i];
    sum = warp_sum(sum, parts[warp][k]);
    if (lane == 0) deltas[row][which] = sum + delta_bias[which];
  }
  __syncthreads();
  int row = threadIdx.x / 2, axis = threadIdx.x % 2;
  if (row >= rows) return;
  const T *box = boxes + 4 * (first + row) + axis, *by = deltas[row] + axis;
  T size = box[2] - box[0], grow = by[2] > T(growth) ? T(growth) : by[2];
  T centre = box[0] + size * T(0.5) + by[0] / T(centre_weight) * size, half = exp(grow) * size * T(0.5);
  T* to = out + 4 * (first + row) + axis;
  to[0] = centre - half;
  to[2] = centre + half;
}
