// Masks from dynamic filters on a GPU; see masks.hpp. The first kernel computes the probabilities
// at the mask features, of type STORED, that an instance's box reads, the second resamples them to bits.

struct Instance {
  int x0, y0, x1, y1;      // box, in pixels of the output
  int fx, fy, fw, fh;      // range of mask features that the box reads
  int word, words;         // first 32-bit word of a row, and words per row
  long long at, bits;      // offsets of its probabilities and words
};

// Taps of one output row or column: out = Σ weight[k]·feature[first + k].
struct Taps {
  int first, n;
  float weight[4];
};

constexpr int kHidden = LAYERS - 1;
constexpr int kBias = kHidden * CHANNELS * CHANNELS + CHANNELS;
constexpr int kParams = kBias + kHidden * CHANNELS + 1;

extern "C" __global__ void probabilities(const Instance* instances, const STORED* features, const float* filters,
                                         long long height, long long width, float* out) {
  __shared__ float filter[kParams];
  const Instance in = instances[blockIdx.y];
  for (int i = threadIdx.x; i < kParams; i += blockDim.x) filter[i] = filters[(long long)blockIdx.y * kParams + i];
  __syncthreads();
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < in.fw * in.fh; i += gridDim.x * blockDim.x) {
    const STORED* at = features + (in.fy + i / in.fw) * width + in.fx + i % in.fw;
    float a[CHANNELS], b[CHANNELS];
#pragma unroll
    for (int c = 0; c < CHANNELS; c++) a[c] = number(at[c * height * width]);
#pragma unroll
    for (int l = 0; l < kHidden; l++) {
#pragma unroll
      for (int o = 0; o < CHANNELS; o++) {
        b[o] = filter[kBias + l * CHANNELS + o];
#pragma unroll
        for (int c = 0; c < CHANNELS; c++) b[o] += filter[(l * CHANNELS + o) * CHANNELS + c] * a[c];
      }
#pragma unroll
      for (int c = 0; c < CHANNELS; c++) a[c] = fmaxf(b[c], 0.0f);
    }
    float z = filter[kBias + kHidden * CHANNELS];
#pragma unroll
    for (int c = 0; c < CHANNELS; c++) z += filter[kHidden * CHANNELS * CHANNELS + c] * a[c];
    out[in.at + i] = 1.0f / (1.0f + expf(-z));
  }
}

// One warp per word, one thread per pixel.
extern "C" __global__ void bits(const Instance* instances, const Taps* columns, const Taps* rows, const float* probability,
                                float threshold, unsigned* out) {
  const Instance in = instances[blockIdx.y];
  int warps = blockDim.x / 32, lane = threadIdx.x % 32;
  int total = in.words * (in.y1 - in.y0);
  for (int i = blockIdx.x * warps + threadIdx.x / 32; i < total; i += gridDim.x * warps) {
    int y = in.y0 + i / in.words, x = (in.word + i % in.words) * 32 + lane;
    float v = 0;
    bool inside = x >= in.x0 && x < in.x1;
    if (inside) {
      const Taps column = columns[x], row = rows[y];
      for (int k = 0; k < row.n; k++) {
        const float* from = probability + in.at + (long long)(row.first + k - in.fy) * in.fw + column.first - in.fx;
        float sum = 0;
        for (int j = 0; j < column.n; j++) sum += column.weight[j] * from[j];
        v += row.weight[k] * sum;
      }
    }
    unsigned word = __ballot_sync(~0u, inside && v > threshold);
    if (lane == 0) out[in.bits + i] = word;
  }
}
