// RoIAlign (He et al. 2017, with the half-pixel offset of torchvision's aligned=True) over the
// levels of a feature pyramid, forward and backward.
//
// A box is divided into bins×bins; each bin is the mean of samples×samples bilinear samples. The
// result is (R, bins·bins, C), channels last, as the decoder's matrix products need it. The CPU
// version sums in torchvision's order, so that rounding is the same; the GPU version,
// cuda/roi_align.cu, does not. Features in bfloat16, on the CPU without gradients, and on GPUs in float16
// are summed in float32 and rounded once.
#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include "autograd.h"
#include "gpu.h"
#include "kernels.h"
#include "lanes.h"
#include "levels.h"
#include "roi_align.h"
#include "shim.h"

namespace {

using di::Tensors;

constexpr int64_t kMaxSamples = 8;  // per bin and axis; more are taken for a mistake

// A bilinear sample along one axis: two pixels and their weights.
template <typename T>
struct Sample {
  bool inside;
  int64_t low, high;
  T near, far;
};

// sample_at returns the sample at coordinate c on an axis of the given size. More than a pixel
// outside it is zero; up to a pixel outside it takes the border's value.
template <typename T>
Sample<T> sample_at(T c, int64_t size, T share) {
  if (!(c >= -1 && c <= static_cast<T>(size))) return {};
  if (c <= 0) c = 0;
  auto low = static_cast<int64_t>(c);
  if (low >= size - 1) return {true, size - 1, size - 1, share, 0};
  T l = c - static_cast<T>(low);
  return {true, low, low + 1, share * (1 - l), share * l};
}

struct Geometry {
  std::vector<double> scales;
  int64_t bins, samples;
};

// A level in channels-last memory, (B, H, W, C).
template <typename T>
struct Plane {
  T* data;
  int64_t height, width, channels;
  T* of(int64_t image) const { return data + image * height * width * channels; }
};

template <typename T>
std::vector<Plane<T>> planes(const Tensors& levels) {
  std::vector<Plane<T>> out;
  for (const auto& l : levels) {
    out.push_back({static_cast<T*>(l.data_ptr()), l.size(2), l.size(3), l.size(1)});
  }
  return out;
}

// The samples of a bin: those of its rows with those of its columns. What a Sample has as low and high are elements from
// the level's first here.
template <typename S, typename T>
struct Bin {
  S* level;
  const Sample<T> *y, *down, *x, *across;

  // each visits the samples: four pixels and their weights.
  template <typename F>
  DI_INLINE void each(F&& visit) const {
    for (const auto* v = y; v < down; v++) {
      S *low = level + v->low, *high = level + v->high;
      for (const auto* h = x; h < across; h++) {
        visit(low + h->low, low + h->high, high + h->low, high + h->high, v->near * h->near, v->near * h->far, v->far * h->near, v->far * h->far);
      }
    }
  }
};

// An Axis has the samples of a box's bins that are inside, on one axis.
template <typename T>
struct Axis {
  std::vector<Sample<T>> inside;
  std::vector<int64_t> ends;  // of the bins' samples among those inside, after a 0

  explicit Axis(const Geometry& g) : inside(g.bins * g.samples), ends(g.bins + 1) {}

  // fill has pixels that are apart elements apart.
  void fill(const Geometry& g, T from, T to, double scale, int64_t size, int64_t apart) {
    T start = from * static_cast<T>(scale) - T(0.5);
    T bin = (to * static_cast<T>(scale) - T(0.5) - start) / static_cast<T>(g.bins);
    T share = T(1) / static_cast<T>(g.samples);
    int64_t n = 0;
    for (int64_t b = 0; b < g.bins; b++) {
      for (int64_t s = 0; s < g.samples; s++) {
        T c = start + static_cast<T>(b) * bin + (static_cast<T>(s) + T(0.5)) * bin / static_cast<T>(g.samples);
        auto at = sample_at(c, size, share);
        if (at.inside) inside[n++] = {true, at.low * apart, at.high * apart, at.near, at.far};
      }
      ends[b + 1] = n;
    }
  }
};

// Boxes are those of one thread: features are of type S, boxes and weights of type T.
template <typename S, typename T>
class Boxes {
 public:
  Boxes(const Geometry& g, const Tensors& levels, const at::Tensor& boxes, const at::Tensor& image, const at::Tensor& level)
      : g_(g), levels_(planes<S>(levels)), boxes_(static_cast<const T*>(boxes.data_ptr())), image_(static_cast<const int64_t*>(image.data_ptr())),
        level_(static_cast<const int64_t*>(level.data_ptr())), x_(g), y_(g) {}

  // bins visits the bins of box r, row by row.
  template <typename F>
  void bins(int64_t r, F&& visit) {
    const auto& p = levels_[level_[r]];
    double scale = g_.scales[level_[r]];
    const T* box = boxes_ + 4 * r;
    x_.fill(g_, box[0], box[2], scale, p.width, p.channels);
    y_.fill(g_, box[1], box[3], scale, p.height, p.width * p.channels);
    const auto *x = x_.inside.data(), *y = y_.inside.data();
    for (int64_t by = 0; by < g_.bins; by++) {
      for (int64_t bx = 0; bx < g_.bins; bx++) {
        visit(Bin<S, T>{p.of(image_[r]), y + y_.ends[by], y + y_.ends[by + 1], x + x_.ends[bx], x + x_.ends[bx + 1]});
      }
    }
  }

 private:
  Geometry g_;
  std::vector<Plane<S>> levels_;
  const T* boxes_;
  const int64_t *image_, *level_;
  Axis<T> x_, y_;
};

// on_gpu launches one of the two kernels, with one block per bin whose threads divide the channels.
void on_gpu(const char* function, const Tensors& levels, const at::Tensor& boxes, const at::Tensor& image,
            const at::Tensor& level, const at::Tensor& pooled, const Geometry& g) {
  auto channels = static_cast<int>(pooled.size(2));
  di::gpu::run({"roi_align.cu", function, {di::gpu::scalar_of(pooled), di::gpu::stored("STORED", pooled.scalar_type())}}, pooled, {pooled.size(0) * pooled.size(1)},
               std::min((channels + 31) / 32 * 32, 256), di::gpu::levels_of(levels, g.scales.data()), boxes.data_ptr(), image.data_ptr(),
               level.defined() ? level.data_ptr() : nullptr, pooled.data_ptr(), channels, static_cast<int>(g.bins), static_cast<int>(g.samples));
}

// mean writes n channels of the sum of a bin's samples to out; sum has room for them.
template <typename O, typename S, typename T>
DI_INLINE void mean(O* __restrict out, const Bin<S, T>& bin, int64_t n, T* __restrict sum) {
  std::fill(sum, sum + n, T(0));
  bin.each([&](const S* a, const S* b, const S* c, const S* d, T wa, T wb, T wc, T wd) DI_INLINED {
    for (int64_t i = 0; i < n; i++) {
      sum[i] += wa * static_cast<T>(a[i]) + wb * static_cast<T>(b[i]) + wc * static_cast<T>(c[i]) + wd * static_cast<T>(d[i]);
    }
  });
  for (int64_t i = 0; i < n; i++) out[i] = static_cast<O>(sum[i]);
}

// vectors writes the channels of N vectors from channel i on.
template <typename L, int N>
DI_INLINE void vectors(float* out, const Bin<float, float>& bin, int64_t i) {
  typename L::V sum[N];
#pragma GCC unroll 8
  for (int j = 0; j < N; j++) sum[j] = typename L::V{};
  bin.each([&](const float* a, const float* b, const float* c, const float* d, float wa, float wb, float wc, float wd) DI_INLINED {
#pragma GCC unroll 8
    for (int j = 0; j < N; j++) {
      int64_t at = i + j * L::count;
      sum[j] += wa * L::load(a + at) + wb * L::load(b + at) + wc * L::load(c + at) + wd * L::load(d + at);
    }
  });
#pragma GCC unroll 8
  for (int j = 0; j < N; j++) L::store(out + i + j * L::count, sum[j]);
}

template <int bytes>
DI_INLINE void mean(float* out, const Bin<float, float>& bin, int64_t n) {
  using L = di::Lanes<float, bytes>;
  int64_t i = 0;
  for (; i + 6 * L::count <= n; i += 6 * L::count) vectors<L, 6>(out, bin, i);
  for (; i + 2 * L::count <= n; i += 2 * L::count) vectors<L, 2>(out, bin, i);
  for (; i + L::count <= n; i += L::count) vectors<L, 1>(out, bin, i);
  for (; i < n; i++) {
    float sum = 0;
    bin.each([&](const float* a, const float* b, const float* c, const float* d, float wa, float wb, float wc, float wd) DI_INLINED {
      sum += wa * a[i] + wb * b[i] + wc * c[i] + wd * d[i];
    });
    out[i] = sum;
  }
}

// Bits of float32 must not depend on the processor: nothing is contracted to a fused multiply-add. The attribute has no effect on
// lambdas, so that di::widest cannot be used.
#define DI_EXACT __attribute__((optimize("fp-contract=off")))
DI_EXACT DI_AVX512 void mean512(float* o, const Bin<float, float>& bin, int64_t n) { mean<64>(o, bin, n); }
DI_EXACT DI_AVX2 void mean256(float* o, const Bin<float, float>& bin, int64_t n) { mean<32>(o, bin, n); }
DI_EXACT void mean128(float* o, const Bin<float, float>& bin, int64_t n) { mean<16>(o, bin, n); }

void mean_of(float* out, const Bin<float, float>& bin, int64_t n, float*) {
  int bytes = di::simd();
  (bytes == 64 ? mean512 : bytes == 32 ? mean256 : mean128)(out, bin, n);
}

DI_CLONES void mean_of(di::BFloat16* out, const Bin<di::BFloat16, float>& bin, int64_t n, float* sum) { mean(out, bin, n, sum); }

DI_CLONES void mean_of(float* out, const Bin<di::BFloat16, float>& bin, int64_t n, float* sum) { mean(out, bin, n, sum); }

void mean_of(double* out, const Bin<double, double>& bin, int64_t n, double* sum) { mean(out, bin, n, sum); }

// A Pooler pools boxes, one at a time.
template <typename S, typename T>
class Pooler {
 public:
  Pooler(const Geometry& g, const Tensors& levels, const at::Tensor& boxes, const at::Tensor& image, const at::Tensor& level)
      : boxes_(g, levels, boxes, image, level), sum_(levels[0].size(1)) {}

  // pool writes the bins of box r.
  template <typename O>
  void pool(int64_t r, O* out) {
    auto channels = static_cast<int64_t>(sum_.size());
    boxes_.bins(r, [&](const Bin<S, T>& bin) {
      mean_of(out, bin, channels, sum_.data());
      out += channels;
    });
  }

 private:
  Boxes<S, T> boxes_;
  std::vector<T> sum_;  // scratch space
};

at::Tensor pool(const Tensors& levels, const at::Tensor& boxes, const at::Tensor& image,
                const at::Tensor& level, const Geometry& g) {
  Tensors lasts;
  for (const auto& l : levels) lasts.push_back(l.contiguous(at::MemoryFormat::ChannelsLast));
  int64_t count = boxes.size(0), channels = levels[0].size(1), bins = g.bins * g.bins;
  auto out = di::empty({count, bins, channels}, levels[0].options().memory_format(at::MemoryFormat::Contiguous));
  if (out.is_cuda()) {
    on_gpu("roi_align", lasts, boxes, image, level, out, g);
    return out;
  }
  di::dispatch(out.scalar_type(), [&](auto storage, auto number) {
    using S = decltype(storage);
    using T = decltype(number);
    auto* o = static_cast<S*>(out.data_ptr());
    at::parallel_for(0, count, 4, [&](int64_t r0, int64_t r1) {
      Pooler<S, T> of(g, lasts, boxes, image, level);
      for (int64_t r = r0; r < r1; r++) of.pool(r, o + r * bins * channels);
    });
  });
  return out;
}

// slopes returns the gradients of the levels, of which it needs the shapes but not the values. Each
// thread owns a range of channels, so that sums need no locks and do not depend on the number of
// threads.
Tensors slopes(const std::vector<std::vector<int64_t>>& shapes, const at::Tensor& boxes, const at::Tensor& image,
               const at::Tensor& level, const at::Tensor& grad, const Geometry& g) {
  Tensors out;
  auto sums = grad.options().dtype(grad.is_cuda() ? di::gpu::computed(grad.scalar_type()) : grad.scalar_type());
  for (const auto& shape : shapes) {
    out.push_back(di::zeros(shape, sums).contiguous(at::MemoryFormat::ChannelsLast));
  }
  if (grad.is_cuda()) {
    on_gpu("roi_align_backward", out, boxes, image, level, grad, g);
    for (auto& t : out) t = t.to(grad.scalar_type());
    return out;
  }
  int64_t count = boxes.size(0), channels = shapes[0][1];
  AT_DISPATCH_FLOATING_TYPES(grad.scalar_type(), "roi_align_backward", [&] {
    const auto* from = static_cast<const scalar_t*>(grad.data_ptr());
    at::parallel_for(0, channels, 16, [&](int64_t c0, int64_t c1) {
      Boxes<scalar_t, scalar_t> of(g, out, boxes, image, level);
      const scalar_t* grad = from;
      for (int64_t r = 0; r < count; r++) {
        of.bins(r, [&](const Bin<scalar_t, scalar_t>& bin) {
          bin.each([&, grad](scalar_t* a, scalar_t* b, scalar_t* c, scalar_t* d, scalar_t wa, scalar_t wb, scalar_t wc, scalar_t wd) {
            for (int64_t i = c0; i < c1; i++) a[i] += wa * grad[i];
            for (int64_t i = c0; i < c1; i++) b[i] += wb * grad[i];
            for (int64_t i = c0; i < c1; i++) c[i] += wc * grad[i];
            for (int64_t i = c0; i < c1; i++) d[i] += wd * grad[i];
          });
          grad += channels;
        });
      }
    });
  });
  return out;
}

at::Tensor roi_align(const Tensors& levels, const at::Tensor& boxes, const at::Tensor& image,
                     const at::Tensor& level, const Geometry& g) {
  at::Tensor out;
  {
    c10::AutoGradMode off(false);
    out = pool(levels, boxes, image, level, g);
  }
  if (di::needs_gradient(levels)) {
    std::vector<std::vector<int64_t>> shapes;
    for (const auto& l : levels) shapes.push_back(l.sizes().vec());
    di::set_backward(out, levels, [=](const at::Tensor& grad, const std::vector<bool>&) {
      return slopes(shapes, boxes, image, level, grad.contiguous(), g);
    });
  }
  return out;
}

}  // namespace

di::RoIs di::rois(const di_tensor* levels, const double* scales, size_t n_levels, di_tensor boxes, di_tensor image, di_tensor level,
                  int64_t bins, int64_t samples) {
  auto pyramid = di::list(levels, n_levels);
  TORCH_CHECK(!pyramid.empty() && bins > 0 && samples > 0 && samples <= kMaxSamples,
              "there must be at least one level and bin, and 1 to ", kMaxSamples, " samples");
  int64_t images = pyramid[0].size(0);
  for (const auto& l : pyramid) {
    TORCH_CHECK(l.dim() == 4 && l.device() == pyramid[0].device() && l.size(0) == images && l.size(1) == pyramid[0].size(1) &&
                    l.scalar_type() == pyramid[0].scalar_type() && l.size(2) > 0 && l.size(3) > 0,
                "levels must be (B,C,H,W) on one device, of one B, C and type");
  }
  auto type = pyramid[0].scalar_type();
  auto b = di::ref(boxes).detach().to(di::gpu::computed(type)).contiguous();
  auto im = di::ref(image).contiguous(), lv = level == nullptr ? at::Tensor() : di::ref(level).contiguous();
  TORCH_CHECK(b.dim() == 2 && b.size(1) == 4, "boxes must be (R,4)");
  TORCH_CHECK(lv.defined() || b.is_cuda(), "levels are only chosen by the boxes' sizes on a GPU");
  TORCH_CHECK(im.scalar_type() == at::kLong && im.numel() == b.size(0) &&
                  (!lv.defined() || (lv.scalar_type() == at::kLong && lv.numel() == b.size(0))),
              "image and level must be int64 (R)");
  TORCH_CHECK(b.device() == pyramid[0].device() && im.device() == b.device() && (!lv.defined() || lv.device() == b.device()),
              "levels, boxes, image and level must be on one device");
  // Not checked on a GPU: reading the indices would wait for the device. Its kernel clamps levels.
  for (int64_t r = 0; b.is_cpu() && r < b.size(0); r++) {
    int64_t i = static_cast<int64_t*>(im.data_ptr())[r], l = static_cast<int64_t*>(lv.data_ptr())[r];
    TORCH_CHECK(i >= 0 && i < images && l >= 0 && l < static_cast<int64_t>(n_levels), "box ", r,
                " has image ", i, " of ", images, " and level ", l, " of ", n_levels);
  }
  return {std::move(pyramid), b, im, lv, {scales, scales + n_levels}, bins, samples};
}

std::function<void(int64_t, float*)> di::pooler(const RoIs& rois) {
  auto of = [&](auto storage) -> std::function<void(int64_t, float*)> {
    return [of = Pooler<decltype(storage), float>(Geometry{rois.scales, rois.bins, rois.samples}, rois.levels, rois.boxes, rois.image, rois.level)](
               int64_t r, float* out) mutable { of.pool(r, out); };
  };
  return rois.levels[0].scalar_type() == at::kFloat ? of(float{}) : of(di::BFloat16{});
}

di_result1 di_roi_align(const di_tensor* levels, const double* scales, size_t n_levels, di_tensor boxes,
                        di_tensor image, di_tensor level, int64_t bins, int64_t samples) noexcept {
  return di::call1([&] {
    auto of = di::rois(levels, scales, n_levels, boxes, image, level, bins, samples);
    return roi_align(of.levels, of.boxes, of.image, of.level, Geometry{of.scales, bins, samples});
  });
}
