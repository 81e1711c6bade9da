// A sum over a block of threads, whose number is a multiple of 32.

using T = SCALAR;

// block_sum returns the sum over all threads of a block, to all of them.
__device__ T block_sum(T v) {
  __shared__ T parts[32];
  for (int step = 16; step > 0; step /= 2) v += __shfl_down_sync(~0u, v, step);
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = v;
  __syncthreads();
  T sum = 0;
  for (int i = 0; i < blockDim.x / 32; i++) sum += parts[i];
  __syncthreads();
  return sum;
}
