// RoIAlign with the dynamic convolution of its features on a GPU, in one launch; see dynamic_conv.hpp. A block
// computes TILE bins, a multiple of 4, of a box: its features stay in shared memory, in rows of channels, four bins
// side by side. CHANNELS is the number of channels, WIDTH the width between both products; STORED is the type of features,
// matrices and norms.

#include "pooling.cuh"
#include "warps.cuh"

constexpr int kThreads = 256, kWarps = kThreads / 32, kFours = TILE / 4;

// multiply computes for each column c of a matrix (ROWS, COLUMNS) its products with four bins each of from (ROWS, kFours),
// and gives them away. Threads divide the columns and, if there are fewer of these, the bins.
template <int ROWS, int COLUMNS, typename Give>
__device__ void multiply(const Four* from, const STORED* matrix, Give give) {
  constexpr int side = COLUMNS < kThreads ? COLUMNS : kThreads, groups = kThreads / side, share = (kFours + groups - 1) / groups;
  int group = threadIdx.x / side;
  if (group >= groups) return;
  for (int c = threadIdx.x % side; c < COLUMNS; c += side) {
    T sum[share][4] = {};
#pragma unroll 4
    for (int k = 0; k < ROWS; k++) {
      T m = number(matrix[k * COLUMNS + c]);
#pragma unroll
      for (int e = 0; e < share; e++) {
        if (group + e * groups >= kFours) continue;
        Four x = from[k * kFours + group + e * groups];
#pragma unroll
        for (int i = 0; i < 4; i++) sum[e][i] += x.v[i] * m;
      }
    }
#pragma unroll
    for (int e = 0; e < share; e++) {
      if (group + e * groups < kFours) give(c, group + e * groups, sum[e]);
    }
  }
}

// out (R, bins², CHANNELS) is relu(norm₂(relu(norm₁(pooled·A))·B)), where matrices (R, 2·CHANNELS·WIDTH) holds
// A (CHANNELS,WIDTH) and B (WIDTH,CHANNELS) of each box. The grid is (R, tiles).
extern "C" __global__ void dynamic_conv(Levels<STORED> levels, const T* boxes, const long long* image, const STORED* matrices,
                                        const STORED* weight1, const STORED* bias1, const STORED* weight2, const STORED* bias2,
                                        STORED* out, int bins, int samples, double eps) {
  __shared__ Four features[CHANNELS * kFours], hidden[WIDTH * kFours];
  __shared__ T parts[kWarps][2][32];
  int r = blockIdx.x, first = blockIdx.y * TILE, warp = threadIdx.x / 32;
  int count = bins * bins - first < TILE ? bins * bins - first : TILE;
  auto value = [](Four* of, int row, int bin) { return of[row * kFours + bin / 4].v + bin % 4; };

  T share = T(1) / T(samples * samples);
  for (int b = 0; b < TILE; b++) {
    for (int c = threadIdx.x; c < CHANNELS; c += kThreads) {
      T sum = 0;
      if (b < count) {
        each(levels, boxes, image, nullptr, r, first + b, CHANNELS, bins, samples, [&](const STORED* at, T w) { sum += w * number(at[c]); });
      }
      *value(features, c, b) = sum * share;
    }
  }
  __syncthreads();
  const STORED* a = matrices + 2ll * r * CHANNELS * WIDTH;
  multiply<CHANNELS, WIDTH>(features, a, [&](int c, int four, const T* v) {
    for (int i = 0; i < 4; i++) hidden[c * kFours + four].v[i] = v[i];
  });
  __syncthreads();
  for (int b = warp; b < count; b += kWarps) {
    norm_relu<WIDTH>([&](int i) { return value(hidden, i, b); }, weight1, bias1, T(eps), parts[warp]);
  }
  __syncthreads();
  multiply<WIDTH, CHANNELS>(hidden, a + CHANNELS * WIDTH, [&](int c, int four, const T* v) {
    for (int i = 0; i < 4; i++) features[c * kFours + four].v[i] = v[i];
  });
  __syncthreads();
  for (int b = warp; b < count; b += kWarps) {
    norm_relu<CHANNELS>([&](int i) { return value(features, i, b); }, weight2, bias2, T(eps), parts[warp]);
    STORED* row = out + (static_cast<long long>(r) * bins * bins + first + b) * CHANNELS;
    for (int i = threadIdx.x % 32; i < CHANNELS; i += 32) put(row + i, *value(features, i, b));
  }
}
