// Where RoIAlign reads a feature pyramid; see roi_align.hpp.

using T = SCALAR;

template <typename E>
struct Levels {
  E* data[8];
  int height[8], width[8];
  double scale[8], finest;  // the first level has 2^finest pixels
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

// level_of returns ⌊4 + log2(√area/224 + 1e-8)⌋ − finest of a box, from 0 to count−1; 0 if it is not a number.
__device__ inline int level_of(const T* box, double finest, int count) {
  T area = (box[2] - box[0]) * (box[3] - box[1]);
  T level = floor(log2(sqrt(area) / T(224) + T(1e-8)) + T(4)) - T(finest);
  return !(level > T(0)) ? 0 : level < T(count - 1) ? int(level) : count - 1;
}

// each visits the four pixels of every sample of a bin of box r, with their weights. level may be null: boxes then
// have the levels for their sizes.
template <typename E, typename F>
__device__ void each(const Levels<E>& levels, const T* boxes, const long long* image, const long long* level, int r, int bin,
                     int channels, int bins, int samples, F visit) {
  int by = bin / bins, bx = bin % bins;
  const T* box = boxes + 4ll * r;
  long long of = level != nullptr ? level[r] : level_of(box, levels.finest, levels.count);  // boxes that are not finite have any
  int l = of < 0 ? 0 : of < levels.count ? int(of) : levels.count - 1;
  int height = levels.height[l], width = levels.width[l];
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
