// Batch norm in training fused with the ReLU that follows it, forward and backward, in
// channels-last memory. In a group (data-parallel training), the sums of both passes are taken over
// the batches of all members: synchronised batch norm (SyncBN, Zhang et al. 2018).
//
// Pixels are divided into blocks of a fixed size whose sums are added in order, so that results
// do not depend on the number of threads.
#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>

#include "batch_norm.h"
#include "kernels.h"
#include "lanes.h"
#include "shim.h"

namespace {

using di::Tensors;

// The transform per channel: y = (x − mean)·scale + bias, with scale = weight/σ, and the ReLU.
template <typename T>
struct Affine {
  const T *mean, *scale, *bias;
  bool relu;
};

template <typename S, typename T>
DI_INLINE void moments(const S* __restrict x, int64_t rows, int64_t width, T* __restrict mean, T* __restrict squares) {
  for (int64_t c = 0; c < width; c++) mean[c] = squares[c] = 0;
  for (int64_t r = 0; r < rows; r++) {
    for (int64_t c = 0; c < width; c++) mean[c] += static_cast<T>(x[r * width + c]);
  }
  for (int64_t c = 0; c < width; c++) mean[c] /= static_cast<T>(rows);
  for (int64_t r = 0; r < rows; r++) {
    for (int64_t c = 0; c < width; c++) {
      T d = static_cast<T>(x[r * width + c]) - mean[c];
      squares[c] += d * d;
    }
  }
}

template <typename S, typename T>
DI_INLINE void apply(const S* __restrict x, S* __restrict y, int64_t rows, int64_t width, const Affine<T>& a) {
  const T *__restrict mean = a.mean, *__restrict scale = a.scale, *__restrict bias = a.bias;
  for (int64_t r = 0; r < rows; r++) {
    for (int64_t c = 0; c < width; c++) {
      T v = (static_cast<T>(x[r * width + c]) - mean[c]) * scale[c] + bias[c];
      y[r * width + c] = static_cast<S>(a.relu && v < 0 ? T(0) : v);  // propagates NaN
    }
  }
}

// slopes sums dy and dy·(x − mean); a ReLU zeroes dy where its output is zero.
template <typename S, typename T>
DI_INLINE void slopes(const S* __restrict x, const S* __restrict dy, int64_t rows, int64_t width, const Affine<T>& a,
                      T* __restrict plain, T* __restrict centred) {
  const T *__restrict mean = a.mean, *__restrict scale = a.scale, *__restrict bias = a.bias;
  for (int64_t c = 0; c < width; c++) plain[c] = centred[c] = 0;
  for (int64_t r = 0; r < rows; r++) {
    for (int64_t c = 0; c < width; c++) {
      T d = static_cast<T>(x[r * width + c]) - mean[c], g = static_cast<T>(dy[r * width + c]);
      g = a.relu && d * scale[c] + bias[c] <= 0 ? T(0) : g;
      plain[c] += g;
      centred[c] += g * d;
    }
  }
}

// gradient writes the gradient of x: scale·(dy − plain − (x − mean)·centred).
template <typename S, typename T>
DI_INLINE void gradient(const S* __restrict x, const S* __restrict dy, S* __restrict dx, int64_t rows, int64_t width,
                        const Affine<T>& a, const T* __restrict plain, const T* __restrict centred) {
  const T *__restrict mean = a.mean, *__restrict scale = a.scale, *__restrict bias = a.bias;
  for (int64_t r = 0; r < rows; r++) {
    for (int64_t c = 0; c < width; c++) {
      T d = static_cast<T>(x[r * width + c]) - mean[c], g = static_cast<T>(dy[r * width + c]);
      g = a.relu && d * scale[c] + bias[c] <= 0 ? T(0) : g;
      dx[r * width + c] = static_cast<S>(scale[c] * (g - plain[c] - d * centred[c]));
    }
  }
}

// The kernels store numbers as S and compute in T.
#define DI_KERNELS(C, S, T)                                                                                         \
  C void moments_of(const S* x, int64_t rows, int64_t width, T* mean, T* squares) {                                 \
    moments(x, rows, width, mean, squares);                                                                         \
  }                                                                                                                 \
  C void apply_of(const S* x, S* y, int64_t rows, int64_t width, const Affine<T>& a) {                              \
    apply(x, y, rows, width, a);                                                                                    \
  }                                                                                                                 \
  C void slopes_of(const S* x, const S* dy, int64_t rows, int64_t width, const Affine<T>& a, T* plain,              \
                           T* centred) {                                                                            \
    slopes(x, dy, rows, width, a, plain, centred);                                                                  \
  }                                                                                                                 \
  C void gradient_of(const S* x, const S* dy, S* dx, int64_t rows, int64_t width, const Affine<T>& a,               \
                             const T* plain, const T* centred) {                                                    \
    gradient(x, dy, dx, rows, width, a, plain, centred);                                                            \
  }
DI_KERNELS(DI_CLONES, float, float)
DI_KERNELS(DI_NARROW_CLONES, double, double)
DI_KERNELS(DI_CLONES, di::BFloat16, float)

at::ScalarType arithmetic(at::ScalarType type) { return type == at::kBFloat16 ? at::kFloat : type; }

// Rows views a tensor as a matrix. A row is a pixel or, with few channels, several pixels
// `together`, so that it fills SIMD vectors.
struct Rows {
  int64_t channels, pixels, together, rows, width, block, blocks;

  explicit Rows(const at::Tensor& x) : channels(x.size(1)), pixels(x.numel() / std::max<int64_t>(channels, 1)) {
    together = 1;
    while (2 * together * channels <= 64 && pixels % (2 * together) == 0) together *= 2;
    rows = pixels / together;
    width = channels * together;
    block = std::min(std::max<int64_t>((1 << 14) / width, 8), rows);
    blocks = (rows + block - 1) / block;
  }

  int64_t count(int64_t b) const { return std::min(block, rows - b * block); }

  template <typename F>
  void each(F&& visit) const {
    at::parallel_for(0, blocks, 2, [&](int64_t from, int64_t to) {
      for (int64_t b = from; b < to; b++) visit(b, b * block * width, count(b));
    });
  }

  // spread repeats the per-channel values for each pixel of a row.
  template <typename T>
  std::vector<T> spread(const std::vector<double>& values) const {
    std::vector<T> out(width);
    for (int64_t i = 0; i < width; i++) out[i] = static_cast<T>(values[i % channels]);
    return out;
  }
};

std::vector<double> values(const at::Tensor& t) {
  std::vector<double> out(t.numel());
  AT_DISPATCH_FLOATING_TYPES(t.scalar_type(), "values", [&] {
    const auto* from = static_cast<const scalar_t*>(t.data_ptr());
    std::copy(from, from + out.size(), out.begin());
  });
  return out;
}

// blend updates a running statistic with that of a batch.
void blend(at::Tensor& running, const std::vector<double>& batch, double momentum) {
  AT_DISPATCH_FLOATING_TYPES(running.scalar_type(), "blend", [&] {
    auto* r = static_cast<scalar_t*>(running.data_ptr());
    for (size_t c = 0; c < batch.size(); c++) {
      r[c] = static_cast<scalar_t>((1 - momentum) * r[c] + momentum * batch[c]);
    }
  });
}

struct BatchNorm {
  at::Tensor x;  // channels-last
  std::vector<double> weight, bias, mean, inverse;  // inverse: 1/σ
  double total = 0;                                 // pixels per channel, over all members of the group
  bool relu = false;
  std::shared_ptr<di::Group> group;
  size_t rank = 0;

  std::vector<std::vector<double>> gather(std::vector<double> mine) const {
    if (!group) return {std::move(mine)};
    return group->gather(rank, std::move(mine));
  }

  // statistics sets mean and inverse from the pixels of all members and returns the unbiased
  // variances.
  std::vector<double> statistics(double eps) {
    Rows r(x);
    std::vector<double> mine(1 + 2 * r.channels);
    di::dispatch(x.scalar_type(), [&](auto storage, auto number) {
      std::vector<decltype(number)> parts(2 * r.blocks * r.width);
      const auto* from = static_cast<const decltype(storage)*>(x.data_ptr());
      r.each([&](int64_t b, int64_t at, int64_t count) {
        auto* to = parts.data() + 2 * b * r.width;
        moments_of(from + at, count, r.width, to, to + r.width);
      });
      std::vector<double> part(parts.begin(), parts.end());
      for (int64_t b = 0; b < r.blocks; b++) {
        for (int64_t k = 0; k < r.together; k++) {
          const double* at = part.data() + 2 * b * r.width + k * r.channels;
          di::merge_moments(mine, static_cast<double>(r.count(b)), at, at + r.width, r.channels);
        }
      }
    });
    auto all = gather(std::move(mine));
    auto& sum = all[0];
    for (size_t m = 1; m < all.size(); m++) {
      di::merge_moments(sum, all[m][0], all[m].data() + 1, all[m].data() + 1 + r.channels, r.channels);
    }
    total = sum[0];
    TORCH_CHECK(total > 1, "the variance needs more than one pixel per channel");
    std::vector<double> variance(r.channels);
    mean.assign(sum.begin() + 1, sum.begin() + 1 + r.channels);
    inverse.resize(r.channels);
    for (int64_t c = 0; c < r.channels; c++) {
      double squares = sum[1 + r.channels + c];
      inverse[c] = 1 / std::sqrt(squares / total + eps);
      variance[c] = squares / (total - 1);
    }
    return variance;
  }

  // with calls f with the transform of the channels of a row.
  template <typename T, typename F>
  void with(const Rows& r, F&& f) const {
    std::vector<double> scale(r.channels);
    for (int64_t c = 0; c < r.channels; c++) scale[c] = weight[c] * inverse[c];
    auto m = r.spread<T>(mean), s = r.spread<T>(scale), b = r.spread<T>(bias);
    f(Affine<T>{m.data(), s.data(), b.data(), relu});
  }

  at::Tensor forward() const {
    Rows r(x);
    auto y = di::empty(x.sizes(), x.options().memory_format(at::MemoryFormat::ChannelsLast));
    di::dispatch(x.scalar_type(), [&](auto storage, auto number) {
      with<decltype(number)>(r, [&](const auto& a) {
        const auto* from = static_cast<const decltype(storage)*>(x.data_ptr());
        auto* to = static_cast<decltype(storage)*>(y.data_ptr());
        r.each([&](int64_t, int64_t at, int64_t count) { apply_of(from + at, to + at, count, r.width, a); });
      });
    });
    return y;
  }

  // backward returns the gradients of x, weight and bias; the latter two are sums over this
  // member's pixels only.
  std::tuple<at::Tensor, at::Tensor, at::Tensor> backward(const at::Tensor& dy) const {
    Rows r(x);
    auto dx = di::empty(x.sizes(), x.options().memory_format(at::MemoryFormat::ChannelsLast));
    auto dweight = di::empty({r.channels}, x.options().dtype(arithmetic(x.scalar_type())).memory_format(at::MemoryFormat::Contiguous));
    auto dbias = di::empty({r.channels}, dweight.options());
    di::dispatch(x.scalar_type(), [&](auto storage, auto number) {
      using S = decltype(storage);
      using T = decltype(number);
      with<T>(r, [&](const Affine<T>& a) {
        const auto *from = static_cast<const S*>(x.data_ptr()), *g = static_cast<const S*>(dy.data_ptr());
        std::vector<T> parts(2 * r.blocks * r.width);
        r.each([&](int64_t b, int64_t at, int64_t count) {
          T* to = parts.data() + 2 * b * r.width;
          slopes_of(from + at, g + at, count, r.width, a, to, to + r.width);
        });
        std::vector<double> mine(2 * r.channels);  // Σdy, Σdy·(x−mean)
        for (int64_t i = 0; i < 2 * r.blocks * r.width; i++) {
          mine[i / r.width % 2 * r.channels + i % r.channels] += parts[i];
        }
        for (int64_t c = 0; c < r.channels; c++) {
          static_cast<T*>(dbias.data_ptr())[c] = static_cast<T>(mine[c]);
          static_cast<T*>(dweight.data_ptr())[c] = static_cast<T>(mine[r.channels + c] * inverse[c]);
        }
        std::vector<double> plain(r.channels), centred(r.channels);
        for (const auto& part : gather(std::move(mine))) {
          for (int64_t c = 0; c < r.channels; c++) {
            plain[c] += part[c] / total;
            centred[c] += part[r.channels + c] * inverse[c] * inverse[c] / total;
          }
        }
        auto p = r.spread<T>(plain), q = r.spread<T>(centred);
        auto* to = static_cast<S*>(dx.data_ptr());
        r.each([&](int64_t, int64_t at, int64_t count) {
          gradient_of(from + at, g + at, to + at, count, r.width, a, p.data(), q.data());
        });
      });
    });
    return {dx, dweight, dbias};
  }
};

}  // namespace

void di::merge_moments(std::vector<double>& a, double n, const double* mean, const double* squares, int64_t channels) {
  double both = a[0] + n;
  for (int64_t c = 0; c < channels && n > 0; c++) {
    double far = mean[c] - a[1 + c];
    a[1 + c] += far * n / both;
    a[1 + channels + c] += squares[c] + far * far * a[0] * n / both;
  }
  a[0] = both;
}

di_result1 di_batch_norm(di_tensor x, di_tensor weight, di_tensor bias, di_tensor mean, di_tensor variance,
                         double momentum, double eps, bool relu, di_group group, size_t rank) noexcept {
  return di::call1([&] {
    Tensors inputs{di::ref(x), di::ref(weight), di::ref(bias)};
    std::shared_ptr<di::Group> members;
    if (group != nullptr) members = *reinterpret_cast<std::shared_ptr<di::Group>*>(group);
    if (inputs[0].is_cuda() && members) {
      TORCH_CHECK(inputs[0].dim() == 4, "x must be (B,C,H,W)");
      auto optional = [](di_tensor t) { return t == nullptr ? at::Tensor() : di::ref(t); };
      return di::batch_norm_gpu(inputs, optional(mean), optional(variance), momentum, eps, relu, members, rank);
    }
    BatchNorm n;
    n.x = inputs[0].detach().contiguous(at::MemoryFormat::ChannelsLast);
    TORCH_CHECK(n.x.dim() == 4 && n.x.device().is_cpu(), "x must be (B,C,H,W) on the CPU");
    for (const auto& t : {di::ref(weight), di::ref(bias)}) {
      TORCH_CHECK(t.dim() == 1 && t.size(0) == n.x.size(1) && t.scalar_type() == arithmetic(n.x.scalar_type()) &&
                      t.is_contiguous(),
                  "weight and bias must have one value per channel, of the input's type (float32 for bfloat16)");
    }
    n.weight = values(inputs[1]);
    n.bias = values(inputs[2]);
    n.relu = relu;
    n.group = members;
    n.rank = rank;
    auto unbiased = n.statistics(eps);
    for (auto [running, batch] : {std::pair(mean, &n.mean), std::pair(variance, &unbiased)}) {
      if (running == nullptr) continue;
      TORCH_CHECK(di::ref(running).numel() == n.x.size(1) && di::ref(running).is_contiguous(),
                  "the running statistics must be contiguous, with one value per channel");
      blend(di::ref(running), *batch, momentum);
    }
    auto out = n.forward();
    if (di::needs_gradient(inputs)) {
      di::set_backward(out, inputs, [n = std::move(n)](const at::Tensor& grad, const std::vector<bool>&) {
        auto [x, weight, bias] = n.backward(grad.to(n.x.scalar_type()).contiguous(at::MemoryFormat::ChannelsLast));
        return Tensors{x, weight, bias};
      });
    }
    return out;
  });
}
