// The dynamic convolution and the self-attention of the decoder for inference in float32 on the CPU: a
// proposal's, or a few queries', intermediate values stay in the processor's caches, and each takes one
// parallel region instead of eight. On a GPU, self-attention is one launch of cuda/attention.cu.
#include <ATen/Parallel.h>

#include "autograd.h"
#include "count.h"
#include "gpu.h"
#include "kernels.h"
#include "lanes.h"
#include "shim.h"
#include "small_product.h"

namespace {

constexpr int64_t kPad = di::kPadding<float>;

const float* values(const at::Tensor& t) { return static_cast<const float*>(t.data_ptr()); }

void check(const at::Tensor& t) {
  TORCH_CHECK(t.is_cpu() && t.scalar_type() == at::kFloat, "tensors must be float32 on the CPU");
  TORCH_CHECK(!di::needs_gradient({t}), "there are no gradients");
}

// A layer norm and a ReLU over rows of n values, a multiple of kPad.
struct Norm {
  const float *weight, *bias;
  float eps;
};

template <int bytes>
DI_INLINE void norm_relu_of(float* x, int64_t rows, int64_t n, const Norm& norm) {
  using S = di::Lanes<float, bytes>;
  using V = typename S::V;
  for (float* row = x; row < x + rows * n; row += n) {
    V sum{};
    for (int64_t i = 0; i < n; i += S::count) sum += S::load(row + i);
    float mean = S::total(sum) / static_cast<float>(n);
    sum = V{};
    for (int64_t i = 0; i < n; i += S::count) {
      V d = S::load(row + i) - mean;
      sum += d * d;
    }
    float scale = 1 / std::sqrt(S::total(sum) / static_cast<float>(n) + norm.eps);
    for (int64_t i = 0; i < n; i += S::count) {
      V y = (S::load(row + i) - mean) * scale * S::load(norm.weight + i) + S::load(norm.bias + i);
      S::store(row + i, y < V{} ? V{} : y);  // NaN stays
    }
  }
}

void norm_relu(float* x, int64_t rows, int64_t n, const Norm& norm) {
  di::widest([=, &norm](auto bytes) DI_INLINED { norm_relu_of<bytes>(x, rows, n, norm); });
}

template <int bytes>
DI_INLINE void softmax_of(float* x, int64_t rows, int64_t n, int64_t apart) {
  using S = di::Lanes<float, bytes>;
  using V = typename S::V;
  constexpr int64_t L = S::count;
  constexpr float least = -87;  // of exp
  for (float* row = x; row < x + rows * apart; row += apart) {
    V highest = V{} + row[0];
    for (int64_t i = n; i < apart; i++) row[i] = row[0];
    for (int64_t i = 0; i < n; i += L) {
      V z = S::load(row + i);
      highest = z > highest ? z : highest;
    }
    float most = highest[0];
    for (int64_t i = 1; i < L; i++) most = highest[i] > most ? highest[i] : most;
    V sum{};
    for (int64_t i = 0; i < n; i += L) {
      V z = S::load(row + i) - most;
      V e = S::exp(z < V{} + least ? V{} + least : z);
      for (int64_t j = n - i; j < L; j++) e[j] = 0;
      S::store(row + i, e);
      sum += e;
    }
    float share = 1 / S::total(sum);
    for (int64_t i = 0; i < n; i += L) S::store(row + i, S::load(row + i) * share);
  }
}

// softmax replaces rows of n values, apart elements apart and padded to a multiple of kPad, by their softmax.
void softmax(float* x, int64_t rows, int64_t n, int64_t apart) {
  di::widest([=](auto bytes) DI_INLINED { softmax_of<bytes>(x, rows, n, apart); });
}

at::Tensor dynamic_conv(const at::Tensor& rois, const at::Tensor& matrices, int64_t inner, const Norm& first, const Norm& second) {
  int64_t count = rois.size(0), bins = rois.size(1), d = rois.size(2);
  di::counted_flop += 4 * count * bins * d * inner;
  auto out = di::empty({count, bins, d}, rois.options());
  const float *x = values(rois), *m = values(matrices);
  auto* y = static_cast<float*>(out.data_ptr());
  at::parallel_for(0, count, 4, [&](int64_t from, int64_t to) {
    std::vector<float> hidden(bins * inner);
    for (int64_t r = from; r < to; r++) {
      const float* of = m + r * 2 * d * inner;
      di::multiply(di::SmallProduct<float>{x + r * bins * d, of, hidden.data(), d, 1, inner, inner, bins, inner, d});
      norm_relu(hidden.data(), bins, inner, first);
      di::multiply(di::SmallProduct<float>{hidden.data(), of + d * inner, y + r * bins * d, inner, 1, d, d, bins, d, inner});
      norm_relu(y + r * bins * d, bins, d, second);
    }
  });
  return out;
}

// A block of queries of one head and picture.
constexpr int64_t kQueries = 56;

at::Tensor attention(const at::Tensor& qkv, int64_t heads) {
  int64_t pictures = qkv.size(0), n = qkv.size(1), row = qkv.size(2), d = row / 3, size = d / heads;
  int64_t width = (size + kPad - 1) / kPad * kPad, keys = (n + kPad - 1) / kPad * kPad, parts = (n + 2 * kQueries - 1) / (2 * kQueries);
  di::counted_flop += 4 * pictures * n * n * d;
  auto out = di::empty({pictures, n, d}, qkv.options());
  auto* y = static_cast<float*>(out.data_ptr());
  float root = std::sqrt(static_cast<float>(size));
  at::parallel_for(0, pictures * heads * parts, 1, [&](int64_t from, int64_t to) {
    std::vector<float> k(size * keys), v(n * width), q(kQueries * size), weights(kQueries * keys);
    int64_t packed = -1;  // picture and head
    for (int64_t task = from; task < to; task++) {
      int64_t of = task / parts, picture = of / heads, head = of % heads;
      const float* at = values(qkv) + picture * n * row + head * size;
      if (of != packed) {
        packed = of;
        for (int64_t i = 0; i < n; i++) {
          for (int64_t c = 0; c < size; c++) k[c * keys + i] = at[i * row + d + c];
          for (int64_t c = 0; c < size; c++) v[i * width + c] = at[i * row + 2 * d + c];
        }
      }
      int64_t last = std::min(n, (task % parts + 1) * 2 * kQueries);
      for (int64_t i = task % parts * 2 * kQueries; i < last; i += kQueries) {
        int64_t rows = std::min(kQueries, last - i);
        for (int64_t r = 0; r < rows; r++) {
          for (int64_t c = 0; c < size; c++) q[r * size + c] = at[(i + r) * row + c] / root;
        }
        di::multiply(di::SmallProduct<float>{q.data(), k.data(), weights.data(), size, 1, keys, keys, rows, keys, size});
        softmax(weights.data(), rows, n, keys);
        di::multiply(di::SmallProduct<float>{weights.data(), v.data(), y + (picture * n + i) * d + head * size, keys, 1, width, d, rows, size, n});
      }
    }
  });
  return out;
}

at::Tensor attention_on_gpu(const at::Tensor& qkv, int64_t heads) {
  int64_t pictures = qkv.size(0), n = qkv.size(1), d = qkv.size(2) / 3, size = d / heads;
  TORCH_CHECK(di::gpu::computed(qkv.scalar_type()) == at::kFloat && size % 4 == 0 && size <= 64,
              "on a GPU qkv must be of float32, float16 or bfloat16, and d/heads a multiple of 4 up to 64");
  TORCH_CHECK(!di::needs_gradient({qkv}), "there are no gradients");
  di::counted_flop += 4 * pictures * n * n * d;
  auto out = di::empty({pictures, n, d}, qkv.options());
  di::gpu::run({"attention.cu", "attention", {di::gpu::scalar_of(qkv), di::gpu::stored("STORED", qkv.scalar_type()), di::gpu::define("SIZE", size)}}, qkv,
               {(n + 31) / 32, pictures * heads}, 128, qkv.data_ptr(), out.data_ptr(), static_cast<int>(n), static_cast<int>(heads));
  return out;
}

}  // namespace

di_result1 di_dynamic_conv(di_tensor rois, di_tensor matrices, const di_tensor* norms, double eps) noexcept {
  return di::call1([&] {
    auto x = di::ref(rois).contiguous(), m = di::ref(matrices).contiguous();
    std::vector<at::Tensor> parameters;
    for (int i = 0; i < 4; i++) parameters.push_back(di::ref(norms[i]).contiguous());
    TORCH_CHECK(x.dim() == 3 && m.dim() == 2 && x.size(0) == m.size(0), "rois must be (R,P,d) and matrices (R,2·d·w)");
    int64_t d = x.size(2), inner = parameters[0].numel();
    TORCH_CHECK(inner > 0 && inner % kPad == 0 && d % kPad == 0 && m.size(1) == 2 * d * inner && parameters[1].numel() == inner &&
                    parameters[2].numel() == d && parameters[3].numel() == d,
                "d and w must be multiples of ", kPad, " and sizes of the norms");
    check(x), check(m);
    for (const auto& p : parameters) check(p);
    auto norm = [&](int i) { return Norm{values(parameters[i]), values(parameters[i + 1]), static_cast<float>(eps)}; };
    return dynamic_conv(x, m, inner, norm(0), norm(2));
  });
}

di_result1 di_attention(di_tensor qkv, int64_t heads) noexcept {
  return di::call1([&] {
    auto x = di::ref(qkv).contiguous();
    TORCH_CHECK(x.dim() == 3 && heads > 0 && x.numel() > 0 && x.size(2) % (3 * heads) == 0, "qkv must be (B,N,3·d), and heads divide d");
    if (x.is_cuda()) return attention_on_gpu(x, heads);
    check(x);
    return attention(x, heads);
  });
}
