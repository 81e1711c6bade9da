// The mask path: dynamic 1×1 convolutions over the mask features, the sigmoid, and
// two bilinear resamplings, straight into bits and only inside each instance's box.
//
// "Aligned bilinear" upsampling by f followed by cropping to the unpadded input and
// bilinear resampling to the output is linear and separable: an output column is a
// sum over at most four feature columns. These taps are computed once an image.
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "kernels.h"
#include "shim.h"

namespace {

// Taps of one output row or column: out = Σ weight[k]·feature[first + k].
struct Taps {
  int64_t first = 0;
  int n = 0;
  float weight[4] = {0, 0, 0, 0};
};

// upsampled adds share times the aligned-bilinear upsampling by f at position u.
void upsampled(Taps& t, int64_t u, float share, int64_t f, int64_t size) {
  float c = static_cast<float>(std::max<int64_t>(0, u - f / 2)) / static_cast<float>(f);
  auto low = static_cast<int64_t>(c);
  float l = c - static_cast<float>(low);
  int64_t a = std::min(low, size - 1), b = std::min(low + 1, size - 1);
  if (t.n == 0) t.first = a;
  t.weight[a - t.first] += share * (1 - l);
  t.weight[b - t.first] += share * l;
  t.n = std::max<int>(t.n, static_cast<int>(b - t.first) + 1);
}

std::vector<Taps> taps(int64_t output, int64_t input, int64_t f, int64_t size) {
  std::vector<Taps> out(output);
  float scale = static_cast<float>(input) / static_cast<float>(output);
  for (int64_t o = 0; o < output; o++) {
    float c = std::max(0.0f, (static_cast<float>(o) + 0.5f) * scale - 0.5f);
    auto low = std::min(static_cast<int64_t>(c), input - 1);
    int64_t high = std::min(low + 1, input - 1);
    float l = std::clamp(c - static_cast<float>(low), 0.0f, 1.0f);
    upsampled(out[o], low, 1 - l, f, size);
    upsampled(out[o], high, l, f, size);
  }
  return out;
}

// The features that the taps from … to−1 reach.
std::pair<int64_t, int64_t> reach(const std::vector<Taps>& t, int64_t from, int64_t to) {
  return {t[from].first, t[to - 1].first + t[to - 1].n};
}

// A set of dynamic filters: the weights of all layers, then their biases.
struct Filters {
  const float* weight;
  const float* bias;
  int64_t channels, layers;

  // probability runs the layers over n pixels, whose channels lie `plane` apart.
  // a and b are scratch of channels·n each.
  void probability(const float* features, int64_t plane, int64_t n, float* a, float* b, float* out) const {
    for (int64_t c = 0; c < channels; c++) std::copy_n(features + c * plane, n, a + c * n);
    const float* w = weight;
    const float* bs = bias;
    for (int64_t l = 0; l + 1 < layers; l++) {
      for (int64_t o = 0; o < channels; o++) {
        float* __restrict to = b + o * n;
        std::fill_n(to, n, bs[o]);
        for (int64_t c = 0; c < channels; c++) {
          const float* __restrict from = a + c * n;
          float k = w[o * channels + c];
          for (int64_t x = 0; x < n; x++) to[x] += k * from[x];
        }
        for (int64_t x = 0; x < n; x++) to[x] = std::max(to[x], 0.0f);
      }
      w += channels * channels;
      bs += channels;
      std::swap(a, b);
    }
    std::fill_n(out, n, bs[0]);
    for (int64_t c = 0; c < channels; c++) {
      const float* __restrict from = a + c * n;
      float k = w[c];
      for (int64_t x = 0; x < n; x++) out[x] += k * from[x];
    }
    for (int64_t x = 0; x < n; x++) out[x] = 1.0f / (1.0f + std::exp(-out[x]));
  }
};

}  // namespace

di_error* di_masks(const di_mask_image* image, const float* filters, size_t params, const int32_t* boxes, size_t n,
                   uint64_t* const* words, size_t row_words) noexcept {
  return di::guard([&] {
    const auto& im = *image;
    int64_t hidden = im.layers - 1;
    int64_t weights = hidden * im.channels * im.channels + im.channels;
    TORCH_CHECK(static_cast<int64_t>(params) == weights + hidden * im.channels + 1, "a filter set of ", params,
                " numbers does not fit ", im.layers, " layers of ", im.channels, " channels");
    TORCH_CHECK(im.height > 0 && im.width > 0 && im.input_h > 0 && im.input_w > 0 &&
                    im.input_h <= im.height * im.stride && im.input_w <= im.width * im.stride &&
                    static_cast<int64_t>(row_words) * 64 >= im.output_w,
                "sizes of the mask features, the input and the output do not agree");
    for (size_t i = 0; i < n; i++) {
      const int32_t* b = boxes + 4 * i;
      TORCH_CHECK(b[0] >= 0 && b[1] >= 0 && b[2] <= im.output_w && b[3] <= im.output_h, "box ", i,
                  " leaves the picture");
    }
    auto ys = taps(im.output_h, im.input_h, im.stride, im.height);
    auto xs = taps(im.output_w, im.input_w, im.stride, im.width);
    at::parallel_for(0, static_cast<int64_t>(n), 1, [&](int64_t i0, int64_t i1) {
      std::vector<float> a, b, row, wide;
      for (int64_t i = i0; i < i1; i++) {
        int64_t x0 = boxes[4 * i], y0 = boxes[4 * i + 1], x1 = boxes[4 * i + 2], y1 = boxes[4 * i + 3];
        if (x0 >= x1 || y0 >= y1) continue;
        auto [fx0, fx1] = reach(xs, x0, x1);
        auto [fy0, fy1] = reach(ys, y0, y1);
        int64_t fw = fx1 - fx0, ow = x1 - x0;
        a.resize(im.channels * fw);
        b.resize(im.channels * fw);
        row.resize(fw);
        wide.resize((fy1 - fy0) * ow);
        Filters f{filters + i * params, filters + i * params + weights, im.channels, im.layers};
        for (int64_t y = fy0; y < fy1; y++) {
          f.probability(im.features + y * im.width + fx0, im.height * im.width, fw, a.data(), b.data(), row.data());
          float* to = wide.data() + (y - fy0) * ow;
          for (int64_t x = x0; x < x1; x++) {
            const Taps& t = xs[x];
            const float* from = row.data() + (t.first - fx0);
            float v = 0;
            for (int k = 0; k < t.n; k++) v += t.weight[k] * from[k];
            to[x - x0] = v;
          }
        }
        row.resize(std::max(fw, ow));
        for (int64_t y = y0; y < y1; y++) {
          const Taps& t = ys[y];
          std::fill_n(row.data(), ow, 0.0f);
          for (int k = 0; k < t.n; k++) {
            const float* __restrict from = wide.data() + (t.first + k - fy0) * ow;
            float* __restrict to = row.data();
            float w = t.weight[k];
            for (int64_t x = 0; x < ow; x++) to[x] += w * from[x];
          }
          uint64_t* out = words[i] + y * static_cast<int64_t>(row_words);
          for (int64_t x = 0; x < ow; x++) {
            int64_t at = x0 + x;
            out[at >> 6] |= static_cast<uint64_t>(row[x] > im.threshold) << (at & 63);
          }
        }
      }
    });
  });
}
