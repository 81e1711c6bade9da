// Masks from dynamic filters, fused: 1×1 convolutions over the mask features, the sigmoid and
// two bilinear resamplings, written as bits and computed only inside each instance's box.
//
// Aligned bilinear upsampling by f, cropping to the unpadded input and bilinear resampling to
// the output are linear and separable: an output column is a weighted sum of at most four feature
// columns. These taps are computed once per image. cuda/masks.cu is the GPU version.
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "count.h"
#include "gpu.h"
#include "kernels.h"
#include "shim.h"

namespace {

// Taps of one output row or column: out = Σ weight[k]·feature[first + k].
struct Taps {
  int first = 0, n = 0;
  float weight[4] = {0, 0, 0, 0};
};

// upsampled adds the taps of aligned bilinear upsampling by f at position u, times share.
void upsampled(Taps& t, int64_t u, float share, int64_t f, int64_t size) {
  float c = static_cast<float>(std::max<int64_t>(0, u - f / 2)) / static_cast<float>(f);
  auto low = static_cast<int64_t>(c);
  float l = c - static_cast<float>(low);
  int64_t a = std::min(low, size - 1), b = std::min(low + 1, size - 1);
  if (t.n == 0) t.first = static_cast<int>(a);
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

// reach returns the half-open range of features that the taps from … to−1 read.
std::pair<int64_t, int64_t> reach(const std::vector<Taps>& t, int64_t from, int64_t to) {
  return {t[from].first, t[to - 1].first + t[to - 1].n};
}

// A set of dynamic filters: the weights of all layers, then their biases.
struct Filters {
  const float* weight;
  const float* bias;
  int64_t channels, layers;

  // probability runs the layers over n pixels, whose channels lie `plane` apart.
  // a and b are scratch space for channels·n values each.
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

// The inputs of both the CPU and the GPU version.
struct Job {
  const di_mask_image& im;
  at::Tensor features, filters;  // (channels, height, width), (n, params)
  const int32_t* boxes;
  uint64_t* const* words;  // of each box's rows
  std::vector<Taps> xs, ys;

  int64_t count() const { return filters.size(0); }
  int64_t params() const { return filters.size(1); }
  int64_t channels() const { return features.size(0); }
  int64_t height() const { return features.size(1); }
  int64_t width() const { return features.size(2); }

  // A box's rows have the words that hold its columns in a row of the output.
  int64_t row_words(int64_t i) const { return (boxes[4 * i + 2] + 63) / 64 - boxes[4 * i] / 64; }

  void on_cpu() const {
    const auto* from_features = static_cast<const float*>(features.data_ptr());
    const auto* from_filters = static_cast<const float*>(filters.data_ptr());
    int64_t weights = (im.layers - 1) * channels() * channels() + channels();
    at::parallel_for(0, count(), 1, [&](int64_t i0, int64_t i1) {
      std::vector<float> a, b, row, wide;
      for (int64_t i = i0; i < i1; i++) {
        int64_t x0 = boxes[4 * i], y0 = boxes[4 * i + 1], x1 = boxes[4 * i + 2], y1 = boxes[4 * i + 3];
        if (x0 >= x1 || y0 >= y1) continue;
        auto [fx0, fx1] = reach(xs, x0, x1);
        auto [fy0, fy1] = reach(ys, y0, y1);
        int64_t fw = fx1 - fx0, ow = x1 - x0;
        di::counted_flop += 2 * fw * (fy1 - fy0) * params();
        a.resize(channels() * fw);
        b.resize(channels() * fw);
        row.resize(fw);
        wide.resize((fy1 - fy0) * ow);
        const float* filter = from_filters + i * params();
        Filters f{filter, filter + weights, channels(), im.layers};
        for (int64_t y = fy0; y < fy1; y++) {
          f.probability(from_features + y * width() + fx0, height() * width(), fw, a.data(), b.data(), row.data());
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
          uint64_t* out = words[i] + (y - y0) * row_words(i);
          for (int64_t x = 0; x < ow; x++) {
            int64_t at = x0 % 64 + x;
            out[at >> 6] |= static_cast<uint64_t>(row[x] > im.threshold) << (at & 63);
          }
        }
      }
    });
  }

  // The struct of this name in cuda/masks.cu; its words have 32 bits.
  struct Instance {
    int x0, y0, x1, y1, fx, fy, fw, fh, word, words;
    long long at, bits;
  };

  void on_gpu() const {
    auto columns = upload(xs), rows = upload(ys);
    constexpr int64_t kMost = 64 << 20, kBlocks = 65535;  // probabilities and instances per launch
    for (int64_t from = 0; from < count();) {
      std::vector<Instance> some;
      int64_t probabilities = 0, bits = 0, most = 0, longest = 0, i = from;
      for (; i < count() && i - from < kBlocks && probabilities < kMost; i++) {
        const int32_t* b = boxes + 4 * i;
        Instance in{b[0], b[1], b[2], b[3], 0, 0, 0, 0, 0, 0, probabilities, bits};
        if (in.x0 < in.x1 && in.y0 < in.y1) {
          auto [fx0, fx1] = reach(xs, in.x0, in.x1);
          auto [fy0, fy1] = reach(ys, in.y0, in.y1);
          in.fx = static_cast<int>(fx0), in.fw = static_cast<int>(fx1 - fx0);
          in.fy = static_cast<int>(fy0), in.fh = static_cast<int>(fy1 - fy0);
          in.word = in.x0 / 32, in.words = (in.x1 + 31) / 32 - in.word;
          int64_t pixels = static_cast<int64_t>(in.fw) * in.fh, words32 = static_cast<int64_t>(in.words) * (in.y1 - in.y0);
          probabilities += pixels, bits += words32;
          most = std::max(most, pixels), longest = std::max(longest, words32);
        } else {
          in.y1 = in.y0;
        }
        some.push_back(in);
      }
      chunk(some, filters.narrow(0, from, i - from), columns, rows, probabilities, bits, most, longest, from);
      from = i;
    }
  }

  template <typename T>
  at::Tensor upload(const std::vector<T>& list) const {
    auto bytes = di::empty({static_cast<int64_t>(list.size() * sizeof(T))}, at::TensorOptions(at::kByte));
    std::memcpy(bytes.data_ptr(), list.data(), list.size() * sizeof(T));
    return di::to_device(bytes, features.device());
  }

  void chunk(const std::vector<Instance>& some, const at::Tensor& part, const at::Tensor& columns, const at::Tensor& rows,
             int64_t probabilities, int64_t bits, int64_t most, int64_t longest, int64_t first) const {
    if (bits == 0) return;
    auto n = static_cast<int64_t>(some.size());
    auto instances = upload(some);
    auto probability = di::empty({probabilities}, features.options().dtype(at::kFloat));
    auto out = di::empty({bits}, features.options().dtype(at::kInt));
    std::vector<std::string> definitions{di::gpu::stored("STORED", features.scalar_type()), di::gpu::define("CHANNELS", channels()),
                                         di::gpu::define("LAYERS", im.layers)};
    di::gpu::run({"masks.cu", "probabilities", definitions}, features, {std::min<int64_t>((most + 255) / 256, 4096), n}, 256,
                 instances.data_ptr(), features.data_ptr(), part.data_ptr(), static_cast<long long>(height()),
                 static_cast<long long>(width()), probability.data_ptr());
    di::gpu::run({"masks.cu", "bits", definitions}, features, {std::min<int64_t>((longest + 7) / 8, 4096), n}, 256,
                 instances.data_ptr(), columns.data_ptr(), rows.data_ptr(), probability.data_ptr(), im.threshold, out.data_ptr());
    auto host = di::to_host(out);
    const auto* from = static_cast<const uint32_t*>(host.data_ptr());
    for (size_t k = 0; k < some.size(); k++) {
      const auto& in = some[k];
      for (int y = in.y0; y < in.y1; y++) {
        uint64_t* to = words[first + k] + (y - in.y0) * row_words(first + k);
        const uint32_t* row = from + in.bits + static_cast<int64_t>(y - in.y0) * in.words;
        for (int w = 0; w < in.words; w++) {
          int at = in.word % 2 + w;
          to[at >> 1] |= static_cast<uint64_t>(row[w]) << (32 * (at & 1));
        }
      }
    }
  }
};

// sums_of adds up a filter set's probabilities over the features x0 … x1−1 of the rows y0 … y1−1.
di_mask_sums sums_of(const Filters& f, const at::Tensor& features, const int32_t* box, std::vector<float>& scratch) {
  di_mask_sums out{};
  int64_t height = features.size(1), width = features.size(2), x0 = box[0], n = box[2] - x0;
  if (n <= 0) return out;
  scratch.resize((2 * f.channels + 1) * n);
  float *b = scratch.data() + f.channels * n, *row = b + f.channels * n;
  const auto* from = static_cast<const float*>(features.data_ptr());
  out.x0 = box[2], out.y0 = box[3];
  for (int32_t y = box[1]; y < box[3]; y++) {
    f.probability(from + y * width + x0, height * width, n, scratch.data(), b, row);
    for (int32_t x = 0; x < n; x++) {
      out.all += row[x];
      if (!(row[x] > 0.5f)) continue;
      out.count++;
      out.inside += row[x];
      auto at = static_cast<int32_t>(x0) + x;
      out.x0 = std::min(out.x0, at), out.y0 = std::min(out.y0, y);
      out.x1 = std::max(out.x1, at + 1), out.y1 = std::max(out.y1, y + 1);
    }
  }
  return out;
}

void check_filters(int64_t params, int64_t layers, int64_t c) {
  int64_t hidden = layers - 1;
  TORCH_CHECK(hidden >= 0 && params == hidden * c * c + c + hidden * c + 1, "a filter set of ", params, " parameters does not fit ", layers,
              " layers of ", c, " channels");
}

}  // namespace

di_error* di_masks_sums(di_tensor features, di_tensor filters, int64_t layers, const int32_t* boxes, size_t n, di_mask_sums* sums) noexcept {
  return di::guard([&] {
    TORCH_CHECK(di::ref(features).is_cpu() && di::ref(filters).is_cpu(), "tensors must be on the CPU");
    auto from = di::ref(features).to(at::kFloat).contiguous(), sets = di::ref(filters).contiguous();
    auto count = static_cast<int64_t>(n);
    TORCH_CHECK(from.dim() == 3 && sets.dim() == 2 && sets.size(0) == count && sets.scalar_type() == at::kFloat,
                "features must be (C,H,W) and filters (n, params) of float32");
    int64_t channels = from.size(0), params = sets.size(1), weights = (layers - 1) * channels * channels + channels;
    check_filters(params, layers, channels);
    for (int64_t i = 0; i < count; i++) {
      const int32_t* b = boxes + 4 * i;
      TORCH_CHECK(b[0] >= 0 && b[1] >= 0 && b[2] <= from.size(2) && b[3] <= from.size(1), "box ", i, " reaches beyond the features");
      int64_t pixels = static_cast<int64_t>(std::max(b[2] - b[0], 0)) * std::max(b[3] - b[1], 0);
      di::counted_flop += 2 * pixels * params;
    }
    const auto* filter = static_cast<const float*>(sets.data_ptr());
    at::parallel_for(0, count, 1, [&](int64_t i0, int64_t i1) {
      std::vector<float> scratch;
      for (int64_t i = i0; i < i1; i++) {
        const float* of = filter + i * params;
        sums[i] = sums_of(Filters{of, of + weights, channels, layers}, from, boxes + 4 * i, scratch);
      }
    });
  });
}

di_error* di_masks(const di_mask_image* image, di_tensor features, di_tensor filters, const int32_t* boxes, size_t n,
                   uint64_t* const* words) noexcept {
  return di::guard([&] {
    auto given = di::ref(features);
    if (given.is_cpu()) given = given.to(di::gpu::computed(given.scalar_type()));
    Job job{*image, given.contiguous(), di::ref(filters).contiguous(), boxes, words, {}, {}};
    const auto& im = *image;
    TORCH_CHECK(job.features.dim() == 3 && job.filters.dim() == 2 && job.count() == static_cast<int64_t>(n) &&
                    di::gpu::computed(job.features.scalar_type()) == at::kFloat && job.filters.scalar_type() == at::kFloat &&
                    job.features.device() == job.filters.device(),
                "features must be (C,H,W) of float32, float16 or bfloat16, filters (n, params) of float32, on one device");
    check_filters(job.params(), im.layers, job.channels());
    TORCH_CHECK(job.height() > 0 && job.width() > 0 && im.input_h > 0 && im.input_w > 0 &&
                    im.input_h <= job.height() * im.stride && im.input_w <= job.width() * im.stride,
                "the sizes of the mask features, the input and the output contradict each other");
    for (size_t i = 0; i < n; i++) {
      const int32_t* b = boxes + 4 * i;
      TORCH_CHECK(b[0] >= 0 && b[1] >= 0 && b[2] <= im.output_w && b[3] <= im.output_h, "box ", i,
                  " reaches beyond the output");
    }
    job.ys = taps(im.output_h, im.input_h, im.stride, job.height());
    job.xs = taps(im.output_w, im.input_w, im.stride, job.width());
    if (job.features.is_cuda()) {
      job.on_gpu();
    } else {
      job.on_cpu();
    }
  });
}
