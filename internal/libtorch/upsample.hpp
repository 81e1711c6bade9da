// Aligned bilinear upsampling of (B,C,h,w) by an integer factor f, forward and backward, in
// channels-last memory: row u of the output samples the input at max(0, (u − f/2)/f), with the
// last row replicated below; columns likewise.
#include <ATen/Parallel.h>

#include "autograd.h"
#include "kernels.h"
#include "lanes.h"
#include "shim.h"

namespace {

using di::Tensors;

// The two input rows or columns of an output row or column; share is the weight of high.
struct Tap {
  int64_t low, high;
  double share;
};

std::vector<Tap> taps(int64_t size, int64_t f) {
  std::vector<Tap> out(size * f);
  for (int64_t u = 0; u < size * f; u++) {
    int64_t at = std::max<int64_t>(0, u - f / 2);
    out[u] = {at / f, std::min(at / f + 1, size - 1), static_cast<double>(at % f) / static_cast<double>(f)};
  }
  return out;
}

// row interpolates a row of the output between two rows of the input.
template <typename S, typename T>
DI_INLINE void row(const S* __restrict low, const S* __restrict high, S* __restrict out, T share,
                   const std::vector<Tap>& columns, int64_t channels) {
  for (size_t v = 0; v < columns.size(); v++) {
    const S *a = low + columns[v].low * channels, *b = low + columns[v].high * channels;
    const S *c = high + columns[v].low * channels, *d = high + columns[v].high * channels;
    S* to = out + static_cast<int64_t>(v) * channels;
    T s = static_cast<T>(columns[v].share);
    for (int64_t i = 0; i < channels; i++) {
      T above = static_cast<T>(a[i]) + s * (static_cast<T>(b[i]) - static_cast<T>(a[i]));
      T below = static_cast<T>(c[i]) + s * (static_cast<T>(d[i]) - static_cast<T>(c[i]));
      to[i] = static_cast<S>(above + share * (below - above));
    }
  }
}

// collect adds n elements of the output's gradient, times weight, to sum.
template <typename S, typename T>
DI_INLINE void collect(const S* __restrict from, T* __restrict sum, int64_t n, T weight) {
  for (int64_t i = 0; i < n; i++) sum[i] += weight * static_cast<T>(from[i]);
}

// spread writes a row of the input's gradient from sum, which is as wide as the output.
template <typename S, typename T>
DI_INLINE void spread(const T* __restrict sum, T* __restrict row, S* __restrict out, int64_t width,
                      const std::vector<Tap>& columns, int64_t channels) {
  for (int64_t i = 0; i < width * channels; i++) row[i] = 0;
  for (size_t v = 0; v < columns.size(); v++) {
    T *a = row + columns[v].low * channels, *b = row + columns[v].high * channels;
    const T* from = sum + static_cast<int64_t>(v) * channels;
    T s = static_cast<T>(columns[v].share);
    for (int64_t i = 0; i < channels; i++) a[i] += (1 - s) * from[i];
    for (int64_t i = 0; i < channels; i++) b[i] += s * from[i];
  }
  for (int64_t i = 0; i < width * channels; i++) out[i] = static_cast<S>(row[i]);
}

#define DI_KERNELS(C, S, T)                                                                                         \
  C void row_of(const S* low, const S* high, S* out, T share, const std::vector<Tap>& columns, int64_t c) {         \
    row(low, high, out, share, columns, c);                                                                         \
  }                                                                                                                 \
  C void collect_of(const S* from, T* sum, int64_t n, T weight) { collect(from, sum, n, weight); }                  \
  C void spread_of(const T* sum, T* row, S* out, int64_t width, const std::vector<Tap>& columns,                    \
                           int64_t c) {                                                                             \
    spread(sum, row, out, width, columns, c);                                                                       \
  }
DI_KERNELS(DI_CLONES, float, float)
DI_KERNELS(DI_NARROW_CLONES, double, double)
DI_KERNELS(DI_CLONES, di::BFloat16, float)

at::Tensor forward(const at::Tensor& x, int64_t f) {
  int64_t images = x.size(0), channels = x.size(1), h = x.size(2), w = x.size(3);
  auto out = di::empty({images, channels, h * f, w * f}, x.options().memory_format(at::MemoryFormat::ChannelsLast));
  auto rows = taps(h, f), columns = taps(w, f);
  di::dispatch(x.scalar_type(), [&](auto storage, auto number) {
    using S = decltype(storage);
    using T = decltype(number);
    const S* from = static_cast<const S*>(x.data_ptr());
    S* to = static_cast<S*>(out.data_ptr());
    at::parallel_for(0, images * h * f, 8, [&](int64_t a, int64_t b) {
      for (int64_t i = a; i < b; i++) {
        const Tap& t = rows[i % (h * f)];
        const S* image = from + i / (h * f) * h * w * channels;
        row_of(image + t.low * w * channels, image + t.high * w * channels, to + i * w * f * channels,
               static_cast<T>(t.share), columns, channels);
      }
    });
  });
  return out;
}

at::Tensor backward(const at::Tensor& grad, int64_t f) {
  int64_t images = grad.size(0), channels = grad.size(1), h = grad.size(2) / f, w = grad.size(3) / f;
  auto out = di::empty({images, channels, h, w}, grad.options().memory_format(at::MemoryFormat::ChannelsLast));
  auto rows = taps(h, f), columns = taps(w, f);
  di::dispatch(grad.scalar_type(), [&](auto storage, auto number) {
    using S = decltype(storage);
    using T = decltype(number);
    const S* from = static_cast<const S*>(grad.data_ptr());
    S* to = static_cast<S*>(out.data_ptr());
    int64_t wide = w * f * channels;
    at::parallel_for(0, images * h, 4, [&](int64_t a, int64_t b) {
      std::vector<T> sum(wide), row(w * channels);
      for (int64_t i = a; i < b; i++) {
        int64_t y = i % h;
        std::fill(sum.begin(), sum.end(), T(0));
        // Only these rows of the output can sample row y of the input.
        for (int64_t u = std::max<int64_t>(0, (y - 1) * f); u < std::min(h * f, (y + 2) * f); u++) {
          const Tap& t = rows[u];
          double weight = (t.low == y ? 1 - t.share : 0) + (t.high == y ? t.share : 0);
          if (weight != 0) collect_of(from + (i / h * h * f + u) * wide, sum.data(), wide, static_cast<T>(weight));
        }
        spread_of(sum.data(), row.data(), to + i * w * channels, w, columns, channels);
      }
    });
  });
  return out;
}

}  // namespace

di_result1 di_upsample_aligned(di_tensor x, int64_t factor) noexcept {
  return di::call1([&] {
    Tensors inputs{di::ref(x)};
    TORCH_CHECK(inputs[0].dim() == 4 && inputs[0].numel() > 0 && inputs[0].device().is_cpu(),
                "x must be (B,C,h,w), not empty, on the CPU");
    TORCH_CHECK(factor >= 1 && factor <= 1024, "the factor must be 1 to 1024, not ", factor);
    auto out = forward(inputs[0].detach().contiguous(at::MemoryFormat::ChannelsLast), factor);
    if (di::needs_gradient(inputs)) {
      di::set_backward(out, inputs, [factor](const at::Tensor& grad, const std::vector<bool>&) {
        return Tensors{backward(grad.contiguous(at::MemoryFormat::ChannelsLast), factor)};
      });
    }
    return out;
  });
}
