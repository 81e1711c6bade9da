// Non-maximum suppression on a GPU, of the candidates of several views at once; see nms.hpp. Evaluation e of view v has n rows of
// `width` numbers each from rows + (e·views + v)·n·width on. Row j begins with the score, the proposal and the class of a
// candidate, and then has the box of proposal j. A view's candidates are numbered e·n + j.

using Word = unsigned long long;  // of 64 candidates

struct Candidate {
  float x1, y1, x2, y2, area;
  int group, number;  // boxes suppress boxes of their own group
};

// ranked writes the candidates of each view that reach the least score, best first, of equal ones the earlier, and counts them.
// A score that is not a number reaches none.
extern "C" __global__ void ranked(const float* rows, long long width, int evaluations, int n, double least, int apart, Candidate* sorted,
                                  int* count) {
  int view = blockIdx.y, total = evaluations * n;
  long long step = gridDim.y * static_cast<long long>(n);  // rows from one evaluation of the view to its next
  const float* own = rows + view * static_cast<long long>(n) * width;
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < total; i += gridDim.x * blockDim.x) {
    const float* row = own + (i / n * step + i % n) * width;
    float score = row[0];
    if (!(score >= least)) continue;
    int rank = 0;
    for (int e = 0, j = 0; e < evaluations; e++) {
      const float* other = own + e * step * width;
      for (int k = 0; k < n; k++, j++) {
        float s = other[k * width];
        rank += s > score || (s == score && j < i);
      }
    }
    const float* b = own + (i / n * step + static_cast<int>(row[1])) * width + 3;
    int group = static_cast<int>(row[2]);
    sorted[view * static_cast<long long>(total) + rank] = {
        b[0], b[1], b[2], b[3], (b[2] - b[0]) * (b[3] - b[1]), apart ? group * evaluations + i / n : group, i};
    atomicAdd(count + view, 1);
  }
}

// The CPU's arithmetic to the bit, of numbers that are none, too.
__device__ float lower(float a, float b) { return b < a ? b : a; }
__device__ float higher(float a, float b) { return a < b ? b : a; }

__device__ bool overlap(const Candidate& a, const Candidate& b, double threshold) {
  if (a.group != b.group) return false;
  float w = higher(0.0f, lower(a.x2, b.x2) - higher(a.x1, b.x1)), h = higher(0.0f, lower(a.y2, b.y2) - higher(a.y1, b.y1));
  float both = __fmul_rn(w, h);  // not fused with the subtraction
  return both / (a.area + b.area - both) > threshold;
}

// overlaps sets bit k of word w in row i if candidate 64·w + k of a view is worse than i and overlaps it by more than the threshold.
extern "C" __global__ void overlaps(const Candidate* sorted, const int* count, int total, double threshold, Word* matrix) {
  const Candidate* of = sorted + blockIdx.y * static_cast<long long>(total);
  int n = count[blockIdx.y], words = (n + 63) / 64, stride = (total + 63) / 64;
  for (int t = blockIdx.x * blockDim.x + threadIdx.x; t < n * words; t += gridDim.x * blockDim.x) {
    int i = t / words, w = t % words, last = 64 * w + 64 < n ? 64 * w + 64 : n;
    Word bits = 0;
    for (int k = 64 * w > i ? 64 * w : i + 1; k < last; k++) {
      if (overlap(of[i], of[k], threshold)) bits |= Word(1) << (k - 64 * w);
    }
    matrix[(blockIdx.y * static_cast<long long>(total) + i) * stride + w] = bits;
  }
}

// kept writes how many candidates of a view no better kept one suppresses, and their numbers, best first: total + 1 numbers per view.
extern "C" __global__ void kept(const Candidate* sorted, const int* count, int total, const Word* matrix, int* out) {
  __shared__ Word gone[MOST / 64], own[64], chosen;
  int view = blockIdx.x, n = count[view], words = (n + 63) / 64, stride = (total + 63) / 64, found = 0;
  const Candidate* of = sorted + view * static_cast<long long>(total);
  const Word* rows = matrix + view * static_cast<long long>(total) * stride;
  int* to = out + view * static_cast<long long>(total + 1);
  for (int w = threadIdx.x; w < words; w += blockDim.x) gone[w] = 0;
  for (int w = 0; w < words; w++) {
    int here = n - 64 * w < 64 ? n - 64 * w : 64;
    for (int k = threadIdx.x; k < here; k += blockDim.x) own[k] = rows[(64 * w + k) * static_cast<long long>(stride) + w];
    __syncthreads();
    if (threadIdx.x == 0) {
      Word suppressed = gone[w], in = 0;
      for (int k = 0; k < here; k++) {
        if (suppressed >> k & 1) continue;
        in |= Word(1) << k;
        suppressed |= own[k];
        to[1 + found++] = of[64 * w + k].number;
      }
      chosen = in;
    }
    __syncthreads();
    for (int later = w + 1 + threadIdx.x; later < words; later += blockDim.x) {
      Word bits = gone[later];
      for (int k = 0; k < here; k++) {
        if (chosen >> k & 1) bits |= rows[(64 * w + k) * static_cast<long long>(stride) + later];
      }
      gone[later] = bits;
    }
  }
  if (threadIdx.x == 0) to[0] = found;
}
