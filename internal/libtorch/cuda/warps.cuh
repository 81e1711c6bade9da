// What kernels share whose warps normalise rows.

using T = SCALAR;

// warp_sum returns the sum over the lanes of a warp, in one order for all. parts is the warp's, for one sum.
__device__ inline T warp_sum(T v, T* parts) {
  parts[threadIdx.x % 32] = v;
  __syncwarp();
  T sum = 0;
#pragma unroll
  for (int i = 0; i < 32; i++) sum += parts[i];
  return sum;
}

// Four are values of four rows, which a thread loads at once.
struct alignas(16) Four {
  T v[4];
};

// norm_relu replaces N values by relu(norm·weight + bias), by a warp; at(i) is where the i-th is, and parts is the warp's.
template <int N, typename W, typename At>
__device__ void norm_relu(At at, const W* weight, const W* bias, T eps, T (*parts)[32]) {
  int lane = threadIdx.x % 32;
  T sum = 0, squares = 0;
  for (int i = lane; i < N; i += 32) sum += *at(i);
  T mean = warp_sum(sum, parts[0]) / T(N);
  for (int i = lane; i < N; i += 32) squares += (*at(i) - mean) * (*at(i) - mean);
  T inverse = T(1) / sqrt(warp_sum(squares, parts[1]) / T(N) + eps);
  for (int i = lane; i < N; i += 32) {
    T y = (*at(i) - mean) * inverse * T(number(weight[i])) + T(number(bias[i]));
    *at(i) = y < T(0) ? T(0) : y;  // propagates NaN
  }
}
