// RoIAlign on a GPU, forward and backward; see roi_align.cc. STORED is the type of features. One block
// per bin of a box; its threads divide the channels, which are contiguous in memory.

using T = SCALAR;

template <typename E>
struct Levels {
  E* data[8];
  int height[8], width[8];
  double scale[8];
  int count;
};

// The positions of the samples along one axis.
struct Axis {
  T start, bin;
  int size;

  __device__ Axis(T from, T to, double scale, int bins, int size) : size(size) {
    start = from * T(scale) - T(0.5);
    bin = (to * T(scale) - T(0.5) - start) / T(bins);
  }

  // sample finds the two neighbours of sample s of bin b and their weights, and reports whether
  // the sample counts: more than a pixel outside it is zero; up to a pixel outside it takes the
  // border's value.
  __device__ bool sample(int b, int s, int samples, int& low, int& high, T& w0, T& w1) const {
    T c = start + T(b) * bin + (T(s) + T(0.5)) * bin / T(samples);
    if (!(c >= T(-1) && c <= T(size))) return false;
    if (c <= T(0)) c = T(0);
    low = int(c);
    if (low >= size - 1) {
      low = high = size - 1;
      w0 = T(1);
      w1 = T(0);
      return true;
    }
    high = low + 1;
    w1 = c - T(low);
    w0 = T(1) - w1;
    return true;
  }
};

// each visits the four pixels of every sample of the block's bin, with their weights.
template <typename E, typename F>
__device__ void each(const Levels<E>& levels, const T* boxes, const long long* image, const long long* level, int channels,
                     int bins, int samples, F visit) {
  int r = blockIdx.x / (bins * bins), by = blockIdx.x / bins % bins, bx = blockIdx.x % bins;
  long long of = level[r];  // boxes that are not finite have any
  int l = of < 0 ? 0 : of < levels.count ? int(of) : levels.count - 1;
  int height = levels.height[l], width = levels.width[l];
  const T* box = boxes + 4ll * r;
  Axis xs(box[0], box[2], levels.scale[l], bins, width), ys(box[1], box[3], levels.scale[l], bins, height);
  E* plane = levels.data[l] + image[r] * height * width * channels;
  for (int i = 0; i < samples; i++) {
    int y0, y1;
    T wy0, wy1;
    if (!ys.sample(by, i, samples, y0, y1, wy0, wy1)) continue;
    for (int j = 0; j < samples; j++) {
      int x0, x1;
      T wx0, wx1;
      if (!xs.sample(bx, j, samples, x0, x1, wx0, wx1)) continue;
      visit(plane + (long long)(y0 * width + x0) * channels, wy0 * wx0);
      visit(plane + (long long)(y0 * width + x1) * channels, wy0 * wx1);
      visit(plane + (long long)(y1 * width + x0) * channels, wy1 * wx0);
      visit(plane + (long long)(y1 * width + x1) * channels, wy1 * wx1);
    }
  }
}

extern "C" __global__ void roi_align(Levels<STORED> levels, const T* boxes, const long long* image, const long long* level, STORED* out,
                                     int channels, int bins, int samples) {
  T share = T(1) / T(samples * samples);
  for (int c = threadIdx.x; c < channels; c += blockDim.x) {
    T sum = 0;
    each(levels, boxes, image, level, channels, bins, samples, [&](const STORED* at, T w) { sum += w * number(at[c]); });
    put(out + (long long)blockIdx.x * channels + c, sum * share);
  }
}

// Adds to the gradients of the levels, which are summed in SCALAR.
extern "C" __global__ void roi_align_backward(Levels<T> levels, const T* boxes, const long long* image,
                                              const long long* level, const STORED* grad, int channels, int bins, int samples) {
  T share = T(1) / T(samples * samples);
  for (int c = threadIdx.x; c < channels; c += blockDim.x) {
    T g = number(grad[(long long)blockIdx.x * channels + c]) * share;
    each(levels, boxes, image, level, channels, bins, samples, [&](T* at, T w) {
      if (w != T(0)) atomicAdd(at + c, w * g);
    });
  }
}
