// The dynamic convolution and the self-attention of the decoder for inference on the CPU, in float32; what the former
// reads and writes may be bfloat16. A proposal's, or a few queries', intermediate values stay in the processor's caches, and
// each takes one parallel region instead of eight. On a GPU, self-attention is one launch of cuda/attention.cu.
#include <ATen/Parallel.h>

#include <limits>

#include "autograd.h"
#include "count.h"
#include "gpu.h"
#include "kernels.h"
#include "lanes.h"
#include "roi_align.h"
#include "shim.h"
#include "small_product.h"

namespace {

constexpr int64_t kPad = di::kPadding<float>;

const float* values(const at::Tensor& t) { return static_cast<const float*>(t.data_ptr()); }

void check(const at::Tensor& t, bool narrow = false) {
  TORCH_CHECK(t.is_cpu() && (t.scalar_type() == at::kFloat || (narrow && t.scalar_type() == at::kBFloat16)),
              "tensors must be float32", narrow ? " or bfloat16" : "", " on the CPU");
  TORCH_CHECK(!di::needs_gradient({t}), "there are no gradients");
}

// A layer norm and a ReLU over rows of n values, a multiple of kPad.
struct Norm {
  const float *weight, *bias;
  float eps;
};

// norm_relu_rows is of R rows: one, or as many as there are lanes, whose sums are then computed side by side.
template <int bytes, int64_t R>
DI_INLINE void norm_relu_rows(float* x, int64_t n, const Norm& norm) {
  using S = di::Lanes<float, bytes>;
  using V = typename S::V;
  V sum[R] = {};
  float mean[R], scale[R];
  auto means = [&](float* to) DI_INLINED {
    if constexpr (R == 1) {
      *to = S::total(sum[0]) / static_cast<float>(n);
    } else {
      S::store(to, S::totals(sum) / static_cast<float>(n));
    }
  };
  for (int64_t i = 0; i < n; i += S::count) {
#pragma GCC unroll 16
    for (int64_t r = 0; r < R; r++) sum[r] += S::load(x + r * n + i);
  }
  means(mean);
#pragma GCC unroll 16
  for (int64_t r = 0; r < R; r++) sum[r] = V{};
  for (int64_t i = 0; i < n; i += S::count) {
#pragma GCC unroll 16
    for (int64_t r = 0; r < R; r++) {
      V d = S::load(x + r * n + i) - mean[r];
      sum[r] += d * d;
    }
  }
  means(scale);
  for (int64_t r = 0; r < R; r++) scale[r] = 1 / std::sqrt(scale[r] + norm.eps);
  for (int64_t i = 0; i < n; i += S::count) {
    V weight = S::load(norm.weight + i), bias = S::load(norm.bias + i);
#pragma GCC unroll 16
    for (int64_t r = 0; r < R; r++) {
      V y = (S::load(x + r * n + i) - mean[r]) * scale[r] * weight + bias;
      S::store(x + r * n + i, y < V{} ? V{} : y);  // NaN stays
    }
  }
}

template <int bytes>
DI_INLINE void norm_relu_of(float* x, int64_t rows, int64_t n, const Norm& norm) {
  constexpr int64_t R = di::Lanes<float, bytes>::count;
  int64_t row = 0;
  for (; row + R <= rows; row += R) norm_relu_rows<bytes, R>(x + row * n, n, norm);
  for (; row < rows; row++) norm_relu_rows<bytes, 1>(x + row * n, n, norm);
}

void norm_relu(float* x, int64_t rows, int64_t n, const Norm& norm) {
  di::widest([=, &norm](auto bytes) DI_INLINED { norm_relu_of<bytes>(x, rows, n, norm); });
}

template <int bytes>
DI_INLINE void softmax_of(float* x, float* shares, int64_t rows, int64_t n, int64_t apart) {
  using S = di::Lanes<float, bytes>;
  using V = typename S::V;
  constexpr int64_t L = S::count;
  constexpr float least = -87;  // of exp
  for (float* row = x; row < x + rows * apart; row += apart) {
    std::fill(row + n, row + apart, -std::numeric_limits<float>::infinity());
    V highest = V{} + row[0];
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
      S::store(row + i, e);
      sum += e;
    }
    *shares++ = 1 / S::total(sum);
  }
}

// softmax replaces rows of n values, apart elements apart and padded to a multiple of kPad, by what is left to be multiplied
// by shares to be their softmax.
void softmax(float* x, float* shares, int64_t rows, int64_t n, int64_t apart) {
  di::widest([=](auto bytes) DI_INLINED { softmax_of<bytes>(x, shares, rows, n, apart); });
}

DI_CLONES void convert(const di::BFloat16* from, int64_t n, float* to) {
  for (int64_t i = 0; i < n; i++) to[i] = static_cast<float>(from[i]);
}

DI_CLONES void convert(const float* from, int64_t n, di::BFloat16* to) {
  for (int64_t i = 0; i < n; i++) to[i] = di::BFloat16(from[i]);
}

// A Part is a part of a tensor in float32: the tensor's memory, or a copy.
struct Part {
  const at::Tensor& of;
  int64_t at, n;
  bool copied = of.scalar_type() != at::kFloat;

  // read returns the values; scratch has room for them.
  const float* read(std::vector<float>& scratch) const {
    if (!copied) return values(of) + at;
    convert(static_cast<const di::BFloat16*>(of.data_ptr()) + at, n, scratch.data());
    return scratch.data();
  }

  // room returns where to write before written.
  float* room(std::vector<float>& scratch) const { return copied ? scratch.data() : static_cast<float*>(of.data_ptr()) + at; }

  void written(const float* from) const {
    if (copied) convert(from, n, static_cast<di::BFloat16*>(of.data_ptr()) + at);
  }
};

struct DynamicConv {
  at::Tensor matrices;
  int64_t bins, d, inner;
  Norm first, second;

  // of multiplies what is pooled: a function that each thread asks source for returns it for box r; scratch has room for it.
  template <typename F>
  at::Tensor of(F&& source) const {
    int64_t count = matrices.size(0);
    di::counted_flop += 4 * count * bins * d * inner;
    auto out = di::empty({count, bins, d}, matrices.options());
    at::parallel_for(0, count, 4, [&](int64_t from, int64_t to) {
      auto pooled = source();
      std::vector<float> hidden(bins * inner), scratch(bins * d), matrix(matrices.scalar_type() == at::kFloat ? 0 : 2 * d * inner);
      for (int64_t r = from; r < to; r++) {
        Part y{out, r * bins * d, bins * d};
        const float *x = pooled(r, scratch), *m = Part{matrices, r * 2 * d * inner, 2 * d * inner}.read(matrix);
        di::multiply(di::SmallProduct<float>{x, m, hidden.data(), d, 1, inner, inner, bins, inner, d});
        norm_relu(hidden.data(), bins, inner, first);
        float* to_y = y.room(scratch);
        di::multiply(di::SmallProduct<float>{hidden.data(), m + d * inner, to_y, inner, 1, d, d, bins, d, inner});
        norm_relu(to_y, bins, d, second);
        y.written(to_y);
      }
    });
    return out;
  }
};

// dynamic_conv checks matrices (R,2·d·w) and norms, which of has to keep.
DynamicConv dynamic_conv(const at::Tensor& matrices, std::vector<at::Tensor>& of, const di_tensor* norms, int64_t count, int64_t bins, int64_t d, double eps) {
  for (int i = 0; i < 4; i++) {
    const auto& t = di::ref(norms[i]);
    check(t, true);
    of.push_back((t.scalar_type() == at::kFloat ? t : t.to(at::kFloat)).contiguous());
  }
  int64_t inner = of[0].numel();
  TORCH_CHECK(matrices.dim() == 2 && matrices.size(0) == count, "matrices must be (R,2·d·w)");
  TORCH_CHECK(inner > 0 && inner % kPad == 0 && d % kPad == 0 && matrices.size(1) == 2 * d * inner && of[1].numel() == inner &&
                  of[2].numel() == d && of[3].numel() == d,
              "d and w must be multiples of ", kPad, " and sizes of the norms");
  check(matrices, true);
  auto norm = [&](int i) { return Norm{values(of[i]), values(of[i + 1]), static_cast<float>(eps)}; };
  return {matrices, bins, d, inner, norm(0), norm(2)};
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
    std::vector<float> k(size * keys), v(n * width), q(kQueries * size), weights(kQueries * keys), shares(kQueries);
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
        softmax(weights.data(), shares.data(), rows, n, keys);
        float* to = y + (picture * n + i) * d + head * size;
        di::multiply(di::SmallProduct<float>{weights.data(), v.data(), to, keys, 1, width, d, rows, size, n});
        for (int64_t r = 0; r < rows; r++) {
          for (int64_t c = 0; c < size; c++) to[r * d + c] *= shares[r];
        }
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
    TORCH_CHECK(x.dim() == 3, "rois must be (R,P,d)");
    check(x, true);
    std::vector<at::Tensor> of;
    int64_t bins = x.size(1), d = x.size(2);
    return dynamic_conv(m, of, norms, x.size(0), bins, d, eps).of([&] {
      return [&](int64_t r, std::vector<float>& scratch) { return Part{x, r * bins * d, bins * d}.read(scratch); };
    });
  });
}

at::Tensor di::dynamic_conv(RoIs rois, const at::Tensor& matrices, const di_tensor* norms, double eps) {
  for (auto& l : rois.levels) {
    check(l, true);
    l = l.contiguous(at::MemoryFormat::ChannelsLast);
  }
  std::vector<at::Tensor> of;
  return ::dynamic_conv(matrices, of, norms, rois.boxes.size(0), rois.bins * rois.bins, rois.levels[0].size(1), eps).of([&] {
    return [pool = di::pooler(rois)](int64_t r, std::vector<float>& scratch) {
      pool(r, scratch.data());
      return scratch.data();
    };
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
