// Self-attention on a GPU; see activations.hpp. A block computes 32 queries of a head of a picture, one per lane; its warps divide the
// keys and are merged at the end. STORED is the type of tensors, SIZE a multiple of 4, the numbers of a head.

#include "warps.cuh"

constexpr int kWarps = 4, kKeys = 32, kFours = SIZE / 4;

// Sum is a softmax-weighted sum so far: values·e^(score − most), and the sum of these powers.
struct Sum {
  T most, total, v[SIZE];
};

// qkv (B, N, 3·heads·SIZE) has queries, keys and values side by side; out (B, N, heads·SIZE) is softmax(q·kᵀ/√SIZE)·v.
// The grid is (queries/32, B·heads).
extern "C" __global__ void attention(const STORED* qkv, STORED* out, int n, int heads) {
  __shared__ Four keys[kKeys * kFours], values[kKeys * kFours];
  __shared__ Sum sums[kWarps - 1][32];
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32, query = blockIdx.x * 32 + lane, d = heads * SIZE;
  const STORED* of = qkv + static_cast<long long>(blockIdx.y / heads) * n * 3 * d + blockIdx.y % heads * SIZE;
  T root = sqrt(T(SIZE)), q[SIZE];
#pragma unroll
  for (int i = 0; i < SIZE; i++) q[i] = query < n ? number(of[static_cast<long long>(query) * 3 * d + i]) / root : T(0);
  Sum s;
  s.most = -__uint_as_float(0x7f800000u), s.total = 0;  // −∞
#pragma unroll
  for (int i = 0; i < SIZE; i++) s.v[i] = 0;

  for (int first = 0; first < n; first += kKeys) {
    int count = n - first < kKeys ? n - first : kKeys;
    __syncthreads();
    for (int i = threadIdx.x; i < count * SIZE; i += blockDim.x) {
      const STORED* at = of + static_cast<long long>(first + i / SIZE) * 3 * d + i % SIZE;
      keys[i / 4].v[i % 4] = number(at[d]);
      values[i / 4].v[i % 4] = number(at[2 * d]);
    }
    __syncthreads();
    for (int k = warp; k < count; k += kWarps) {
      T score = 0;
#pragma unroll
      for (int f = 0; f < kFours; f++) {
        Four x = keys[k * kFours + f];
#pragma unroll
        for (int i = 0; i < 4; i++) score += q[4 * f + i] * x.v[i];
      }
      T most = score > s.most ? score : s.most, before = exp(s.most - most), now = exp(score - most);
      s.most = most, s.total = s.total * before + now;
#pragma unroll
      for (int f = 0; f < kFours; f++) {
        Four x = values[k * kFours + f];
#pragma unroll
        for (int i = 0; i < 4; i++) s.v[4 * f + i] = s.v[4 * f + i] * before + x.v[i] * now;
      }
    }
  }
  if (warp > 0) sums[warp - 1][lane] = s;
  __syncthreads();
  if (warp > 0 || query >= n) return;
  for (int w = 0; w < kWarps - 1; w++) {
    const Sum& other = sums[w][lane];
    T most = other.most > s.most ? other.most : s.most, before = exp(s.most - most), now = exp(other.most - most);
    if (n <= w + 1) continue;  // it had no key
    s.most = most, s.total = s.total * before + other.total * now;
#pragma unroll
    for (int i = 0; i < SIZE; i++) s.v[i] = s.v[i] * before + other.v[i] * now;
  }
  STORED* to = out + (static_cast<long long>(blockIdx.y / heads) * n + query) * d + blockIdx.y % heads * SIZE;
#pragma unroll
  for (int i = 0; i < SIZE; i++) put(to + i, s.v[i] / s.total);
}
