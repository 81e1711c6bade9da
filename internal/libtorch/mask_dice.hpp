// The dice loss of dynamic masks in training: each instance's own 1×1 convolutions over the
// mask features of its image, the sigmoid, and 1 − 2Σpg/(Σp²+Σg²+ε), fused, forward and backward.
// No activations are stored: the backward pass recomputes the layers, block by block of pixels.
//
// Blocks have a fixed size and their sums are added in order, so that results do not depend on
// the number of threads. cuda/mask_dice.cu is the GPU version.
#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>

#include "autograd.h"
#include "kernels.h"
#include "lanes.h"
#include "mask_dice.h"
#include "shim.h"

namespace {

using di::Tensors;

constexpr int64_t kMaxLayers = 8, kMaxChannels = 32;
constexpr int64_t kBlock = 512;  // pixels per block
constexpr int kGroup = 4;        // vectors of pixels per load of the weights
constexpr double kEpsilon = 1e-5;
constexpr int64_t kShared = 48 << 10;  // bytes of shared memory per GPU block

template <typename T>
struct Job {
  const T *features, *filters;  // (B,C,P), (M,params)
  const uint8_t* truths;        // (G,P), or
  const T* parts;               // (G,P): of 0 to 1
  const int64_t* truth;         // (M)
  const int64_t* from;          // (B+1): the instances of each image
  int64_t instances, channels, pixels, layers, params;
  T* sums;         // (blocks, M, 3): Σpg, Σp², Σg²
  const T* slope;  // (M, 2): dL/dp = slope₀·g + slope₁·p
  T *dfeatures, *dfilters;  // (B,C,P), (blocks, M, params)

  int64_t blocks() const { return (pixels + kBlock - 1) / kBlock; }
};

// A block of an image's pixels. C is the number of channels, or 0 if only the job knows it.
template <typename T, int C, int bytes>
struct Block {
  using S = di::Lanes<T, bytes>;
  using V = typename S::V;
  static constexpr int64_t kLanes = S::count;
  static constexpr int64_t kWidth = C ? C : kMaxChannels;
  using Layer = V[kWidth][kGroup];

  const Job<T>& job;
  const int64_t block, image, channels, first, count;
  alignas(64) T x[kWidth][kBlock];
  alignas(64) T g[kBlock], valid[kBlock];
  Layer h[kMaxLayers];  // inputs of each layer
  V p[kGroup];

  DI_INLINE Block(const Job<T>& j, int64_t task)
      : job(j), block(task % j.blocks()), image(task / j.blocks()), channels(C ? C : j.channels),
        first(block * kBlock), count(std::min(kBlock, j.pixels - first)) {
    for (int64_t c = 0; c < channels; c++) {
      const T* from = job.features + (image * channels + c) * job.pixels + first;
      for (int64_t i = 0; i < kBlock; i++) x[c][i] = i < count ? from[i] : T(0);
    }
    for (int64_t i = 0; i < kBlock; i++) valid[i] = i < count ? T(1) : T(0);
  }

  DI_INLINE int64_t groups() const { return (count + kLanes * kGroup - 1) / (kLanes * kGroup); }

  DI_INLINE void truth(int64_t m) {
    int64_t from = job.truth[m] * job.pixels + first;
    if (job.parts) {
      std::copy_n(job.parts + from, count, g);
    } else {
      for (int64_t i = 0; i < count; i++) g[i] = static_cast<T>(job.truths[from + i]);
    }
    for (int64_t i = count; i < kBlock; i++) g[i] = T(0);
  }

  DI_INLINE const T* weights(int64_t m, int64_t l) const {
    return job.filters + m * job.params + l * channels * channels;
  }

  DI_INLINE int64_t bias(int64_t l) const {
    return (job.layers - 1) * channels * channels + channels + l * channels;
  }

  // forward computes the probabilities p of a group of vectors of pixels.
  DI_INLINE void forward(int64_t m, int64_t group) {
    for (int64_t c = 0; c < channels; c++) {
      for (int t = 0; t < kGroup; t++) h[0][c][t] = S::load(&x[c][(group * kGroup + t) * kLanes]);
    }
    for (int64_t l = 0; l + 1 < job.layers; l++) {
      const T *w = weights(m, l), *b = job.filters + m * job.params + bias(l);
      for (int64_t o = 0; o < channels; o++) {
        V sum[kGroup];
        for (int t = 0; t < kGroup; t++) sum[t] = V{} + b[o];
        for (int64_t c = 0; c < channels; c++) {
          for (int t = 0; t < kGroup; t++) sum[t] += w[o * channels + c] * h[l][c][t];
        }
        for (int t = 0; t < kGroup; t++) h[l + 1][o][t] = sum[t] < V{} ? V{} : sum[t];  // propagates NaN
      }
    }
    int64_t l = job.layers - 1;
    const T *w = weights(m, l), *b = job.filters + m * job.params + bias(l);
    for (int t = 0; t < kGroup; t++) {
      V z = V{} + b[0];
      for (int64_t c = 0; c < channels; c++) z += w[c] * h[l][c][t];
      p[t] = S::sigmoid(z) * S::load(&valid[(group * kGroup + t) * kLanes]);
    }
  }

  DI_INLINE void sums() {
    for (int64_t m = job.from[image]; m < job.from[image + 1]; m++) {
      truth(m);
      V pg{}, pp{}, gg{};
      for (int64_t group = 0; group < groups(); group++) {
        forward(m, group);
        for (int t = 0; t < kGroup; t++) {
          V y = S::load(&g[(group * kGroup + t) * kLanes]);
          pg += p[t] * y;
          pp += p[t] * p[t];
          gg += y * y;
        }
      }
      T* to = job.sums + (block * job.instances + m) * 3;
      to[0] = S::total(pg);
      to[1] = S::total(pp);
      to[2] = S::total(gg);
    }
  }

  DI_INLINE void gradients() {
    alignas(64) T dx[kWidth][kBlock];
    V dw[(kMaxLayers - 1) * (kWidth * kWidth + kWidth) + kWidth + 1];
    for (int64_t c = 0; c < channels; c++) std::fill(dx[c], dx[c] + kBlock, T(0));
    for (int64_t m = job.from[image]; m < job.from[image + 1]; m++) {
      truth(m);
      std::memset(dw, 0, job.params * sizeof(V));
      for (int64_t group = 0; group < groups(); group++) {
        forward(m, group);
        backward(m, group, dw, dx);
      }
      T* to = job.dfilters + (block * job.instances + m) * job.params;
      for (int64_t i = 0; i < job.params; i++) to[i] = S::total(dw[i]);
    }
    for (int64_t c = 0; c < channels; c++) {
      std::copy(dx[c], dx[c] + count, job.dfeatures + (image * channels + c) * job.pixels + first);
    }
  }

  // backward adds the gradients of a group to the gradients of the filter, dw, and of the features, dx.
  DI_INLINE void backward(int64_t m, int64_t group, V* dw, T (*dx)[kBlock]) {
    Layer up, down;  // gradients of a layer's outputs and inputs
    T s0 = job.slope[2 * m], s1 = job.slope[2 * m + 1];
    for (int t = 0; t < kGroup; t++) {
      V y = S::load(&g[(group * kGroup + t) * kLanes]);
      up[0][t] = (s0 * y + s1 * p[t]) * p[t] * (T(1) - p[t]);
    }
    for (int64_t l = job.layers - 1, outputs = 1; l >= 0; l--, outputs = channels) {
      V* at = dw + l * channels * channels;
      for (int64_t o = 0; o < outputs; o++) {
        V b = dw[bias(l) + o];
        for (int t = 0; t < kGroup; t++) b += up[o][t];
        dw[bias(l) + o] = b;
        for (int64_t c = 0; c < channels; c++) {
          V sum = at[o * channels + c];
          for (int t = 0; t < kGroup; t++) sum += up[o][t] * h[l][c][t];
          at[o * channels + c] = sum;
        }
      }
      const T* w = weights(m, l);
      for (int64_t c = 0; c < channels; c++) {
        V sum[kGroup];
        for (int t = 0; t < kGroup; t++) sum[t] = V{};
        for (int64_t o = 0; o < outputs; o++) {
          for (int t = 0; t < kGroup; t++) sum[t] += w[o * channels + c] * up[o][t];
        }
        for (int t = 0; t < kGroup; t++) {
          if (l == 0) {
            T* to = &dx[c][(group * kGroup + t) * kLanes];
            S::store(to, S::load(to) + sum[t]);
          } else {
            down[c][t] = h[l][c][t] > V{} ? sum[t] : V{};
          }
        }
      }
      if (l > 0) std::memcpy(up, down, channels * sizeof(up[0]));
    }
  }
};

// run calls f with the block of a task. Models have 8 channels. Other numbers, and float64, which tests use, are rare.
template <typename T, typename F>
void run(const Job<T>& job, int64_t task, F f) {
  if constexpr (std::is_same_v<T, float>) {
    if (job.channels == 8) return di::widest([&](auto bytes) DI_INLINED { f(Block<T, 8, bytes>(job, task)); });
  }
  di::widest<32>([&](auto bytes) DI_INLINED { f(Block<T, 0, bytes>(job, task)); });
}

template <typename T>
void sums(const Job<T>& job, int64_t task) {
  run(job, task, [](auto&& block) DI_INLINED { block.sums(); });
}

template <typename T>
void gradients(const Job<T>& job, int64_t task) {
  run(job, task, [](auto&& block) DI_INLINED { block.gradients(); });
}

// The inputs of the forward and backward passes; tensors are contiguous.
struct Dice {
  at::Tensor features, filters, truths, truth;
  std::vector<int64_t> from;  // (B+1): the instances of each image
  int64_t layers;
  at::Tensor image;  // int64 (M), used on a GPU only

  bool whole() const { return truths.scalar_type() == at::kByte; }
  di::gpu::MaskDice on_gpu() const { return {features, filters, truths, image, truth, layers}; }

  template <typename T>
  Job<T> job() const {
    Job<T> j{};
    j.features = static_cast<const T*>(features.data_ptr());
    j.filters = static_cast<const T*>(filters.data_ptr());
    if (whole()) {
      j.truths = static_cast<const uint8_t*>(truths.data_ptr());
    } else {
      j.parts = static_cast<const T*>(truths.data_ptr());
    }
    j.truth = static_cast<const int64_t*>(truth.data_ptr());
    j.from = from.data();
    j.instances = filters.size(0);
    j.channels = features.size(1);
    j.pixels = features.size(2) * features.size(3);
    j.layers = layers;
    j.params = filters.size(1);
    return j;
  }

  int64_t images() const { return features.size(0); }

  // losses returns the losses (M) and the sums (M, 2) that they are made of: Σpg and Σp²+Σg²+ε.
  std::pair<at::Tensor, at::Tensor> losses() const {
    if (filters.is_cuda()) return on_gpu().losses();
    auto sums = di::empty({filters.size(0), 2}, filters.options());
    auto losses = di::empty({filters.size(0)}, filters.options());
    AT_DISPATCH_FLOATING_TYPES(filters.scalar_type(), "mask_dice", [&] {
      auto j = job<scalar_t>();
      std::vector<scalar_t> parts(j.blocks() * j.instances * 3);
      j.sums = parts.data();
      at::parallel_for(0, images() * j.blocks(), 1, [&](int64_t a, int64_t b) {
        for (int64_t task = a; task < b; task++) ::sums(j, task);
      });
      auto* to = static_cast<scalar_t*>(sums.data_ptr());
      for (int64_t m = 0; m < j.instances; m++) {
        double common = 0, squares = kEpsilon;
        for (int64_t b = 0; b < j.blocks(); b++) {
          const scalar_t* part = j.sums + (b * j.instances + m) * 3;
          common += part[0];
          squares += static_cast<double>(part[1]) + part[2];
        }
        to[2 * m] = static_cast<scalar_t>(common);
        to[2 * m + 1] = static_cast<scalar_t>(squares);
        static_cast<scalar_t*>(losses.data_ptr())[m] = static_cast<scalar_t>(1 - 2 * common / squares);
      }
    });
    return {losses, sums};
  }

  // gradients returns the gradients of features and filters, given the gradient of the losses (M).
  std::pair<at::Tensor, at::Tensor> gradients(const at::Tensor& sums, const at::Tensor& grad) const {
    if (filters.is_cuda()) return on_gpu().gradients(sums, grad);
    auto dfilters = di::empty(filters.sizes(), filters.options());
    auto dfeatures = di::empty(features.sizes(), features.options());
    AT_DISPATCH_FLOATING_TYPES(filters.scalar_type(), "mask_dice_backward", [&] {
      auto j = job<scalar_t>();
      const auto* s = static_cast<const scalar_t*>(sums.data_ptr());
      const auto* g = static_cast<const scalar_t*>(grad.data_ptr());
      std::vector<scalar_t> slope(2 * j.instances);
      for (int64_t m = 0; m < j.instances; m++) {
        slope[2 * m] = -2 * g[m] / s[2 * m + 1];
        slope[2 * m + 1] = 4 * g[m] * s[2 * m] / (s[2 * m + 1] * s[2 * m + 1]);
      }
      auto parts = di::empty({j.blocks(), j.instances, j.params}, filters.options());
      j.slope = slope.data();
      j.dfeatures = static_cast<scalar_t*>(dfeatures.data_ptr());
      j.dfilters = static_cast<scalar_t*>(parts.data_ptr());
      at::parallel_for(0, images() * j.blocks(), 1, [&](int64_t a, int64_t b) {
        for (int64_t task = a; task < b; task++) ::gradients(j, task);
      });
      auto* to = static_cast<scalar_t*>(dfilters.data_ptr());
      for (int64_t i = 0; i < j.instances * j.params; i++) {
        double sum = 0;
        for (int64_t b = 0; b < j.blocks(); b++) sum += j.dfilters[b * j.instances * j.params + i];
        to[i] = static_cast<scalar_t>(sum);
      }
    });
    return {dfeatures, dfilters};
  }
};

}  // namespace

namespace di::gpu {

// tile returns how many pixels at a time fit into the shared memory of a block.
int64_t MaskDice::tile() const {
  int64_t tile = 128, params = filters.size(1), rows = 2 * layers * features.size(1) + 1;
  while (tile > 32 && ((tile + 1) * rows + params) * filters.element_size() > kShared) tile /= 2;
  TORCH_CHECK(((tile + 1) * rows + params) * filters.element_size() <= kShared, layers, " layers of ", features.size(1),
              " channels exceed the shared memory of a GPU block");
  return tile;
}

Kernel MaskDice::kernel(const char* function) const {
  return {"mask_dice.cu", function,
          {scalar_of(filters), stored("STORED", features.scalar_type()), stored("TRUTH", truths.scalar_type()),
           define("CHANNELS", features.size(1)), define("LAYERS", layers), define("TILE", tile())}};
}

std::pair<at::Tensor, at::Tensor> MaskDice::losses() const {
  auto sums = di::empty({filters.size(0), 2}, filters.options());
  auto losses = di::empty({filters.size(0)}, filters.options());
  run(kernel("mask_dice"), filters, {filters.size(0)}, 256, features.data_ptr(), filters.data_ptr(), image.data_ptr(),
      truths.data_ptr(), truth.data_ptr(), losses.data_ptr(), sums.data_ptr(), static_cast<long long>(truths.size(1)));
  return {losses, sums};
}

std::pair<at::Tensor, at::Tensor> MaskDice::gradients(const at::Tensor& sums, const at::Tensor& grad) const {
  auto dfilters = di::empty(filters.sizes(), filters.options());
  auto dfeatures = di::zeros(features.sizes(), filters.options());
  run(kernel("mask_dice_backward"), filters, {filters.size(0)}, static_cast<int>(tile()), features.data_ptr(), filters.data_ptr(),
      image.data_ptr(), truths.data_ptr(), truth.data_ptr(), sums.data_ptr(), grad.data_ptr(), dfeatures.data_ptr(),
      dfilters.data_ptr(), static_cast<long long>(truths.size(1)));
  return {dfeatures, dfilters};
}

}  // namespace di::gpu

di_result1 di_mask_dice(di_tensor features, di_tensor filters, const int64_t* image, di_tensor truths,
                        di_tensor truth, size_t n, int64_t layers) noexcept {
  return di::call1([&] {
    Tensors inputs{di::ref(features), di::ref(filters)};
    auto computed = [](const at::Tensor& t) { return t.to(di::gpu::computed(t.scalar_type())).contiguous(); };
    bool cpu = inputs[0].is_cpu();  // where features of few bits are converted, which GPUs do as they read
    Dice d{cpu ? computed(inputs[0].detach()) : inputs[0].detach().contiguous(), computed(inputs[1].detach()),
           cpu ? computed(di::ref(truths)) : di::ref(truths).contiguous(), di::ref(truth).contiguous(), {}, layers, {}};
    TORCH_CHECK(d.features.dim() == 4 && d.filters.dim() == 2 && d.truths.dim() == 2 && d.truth.dim() == 1,
                "features must be (B,C,h,w), filters (M,params), truths (G,h·w), truth (M)");
    int64_t c = d.features.size(1), m = d.filters.size(0);
    TORCH_CHECK(c >= 1 && c <= kMaxChannels && layers >= 1 && layers <= kMaxLayers,
                "at most ", kMaxLayers, " layers of ", kMaxChannels, " channels are supported, not ", layers, " of ", c);
    TORCH_CHECK(d.filters.size(1) == (layers - 1) * (c * c + c) + c + 1, "filters of ", d.filters.size(1),
                " parameters do not fit ", layers, " layers of ", c, " channels");
    TORCH_CHECK(d.truths.size(1) == d.features.size(2) * d.features.size(3), "truths and features differ in size");
    auto type = d.filters.scalar_type();
    TORCH_CHECK((d.whole() || di::gpu::computed(d.truths.scalar_type()) == type) && d.truth.scalar_type() == at::kLong &&
                    di::gpu::computed(d.features.scalar_type()) == type,
                "truths must be uint8 or of the features' type, truth int64, features and filters of one type");
    TORCH_CHECK(d.truth.numel() == m && static_cast<int64_t>(n) == m, "image and truth must have one entry per filter");
    d.from.assign(d.features.size(0) + 1, 0);
    TORCH_CHECK(d.truth.is_cpu() && d.filters.device() == d.features.device() && d.truths.device() == d.features.device(),
                "features, filters and truths must be on one device, truth on the CPU");
    for (int64_t i = 0; i < m; i++) {
      int64_t t = static_cast<int64_t*>(d.truth.data_ptr())[i];
      TORCH_CHECK(t >= 0 && t < d.truths.size(0), "instance ", i, " has truth ", t, " of ", d.truths.size(0));
      TORCH_CHECK(image[i] >= (i ? image[i - 1] : 0) && image[i] < d.features.size(0),
                  "image must be in ascending order and below ", d.features.size(0));
      d.from[image[i] + 1]++;
    }
    for (size_t i = 1; i < d.from.size(); i++) d.from[i] += d.from[i - 1];
    if (d.features.is_cuda()) {
      d.image = di::empty({m}, d.truth.options());
      std::copy_n(image, m, static_cast<int64_t*>(d.image.data_ptr()));
      d.image = di::to_device(d.image, d.features.device());
      d.truth = di::to_device(d.truth, d.features.device());
    }
    auto [out, sums] = d.losses();
    if (di::needs_gradient(inputs)) {
      di::set_backward(out, inputs, [d, sums = sums, types = std::make_pair(inputs[0].scalar_type(), inputs[1].scalar_type())](
                                         const at::Tensor& grad, const std::vector<bool>&) {
        auto [features, filters] = d.gradients(sums, grad.contiguous());
        return Tensors{features.to(types.first), filters.to(types.second)};
      });
    }
    return out;
  });
}
