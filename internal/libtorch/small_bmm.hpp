// Batched products of small matrices, forward and backward. Without MKL, LibTorch calls BLAS
// once per pair, and the overhead of these calls exceeds the time of the products.
#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>

#include "autograd.h"
#include "count.h"
#include "kernels.h"
#include "lanes.h"
#include "shim.h"
#include "small_product.h"

namespace {

using di::Lanes;
using di::SmallProduct;
using di::Tensors;

// A batch of matrices with arbitrary strides.
template <typename T>
struct Batch {
  T* data;
  int64_t item, row, column;  // strides
};

template <typename T>
Batch<T> batch(const at::Tensor& t, bool transposed = false) {
  return {static_cast<T*>(t.data_ptr()), t.stride(0), t.stride(transposed ? 2 : 1), t.stride(transposed ? 1 : 2)};
}

// rows writes R rows and N vectors of columns of c = a·b, of which only n columns are stored; the
// rows of b are width elements apart.
template <typename S, int R, int N, typename T>
DI_INLINE void rows(const T* a, int64_t row, int64_t column, const T* b, int64_t width, T* c, int64_t stride,
                    int64_t n, int64_t k) {
  using V = typename S::V;
  constexpr int64_t L = S::count;
  V sum[R][N];
#pragma GCC unroll 16
  for (int r = 0; r < R; r++) {
#pragma GCC unroll 16
    for (int j = 0; j < N; j++) sum[r][j] = V{};
  }
  for (int64_t p = 0; p < k; p++) {
    V right[N];
    for (int j = 0; j < N; j++) right[j] = S::load(b + p * width + j * L);
    for (int r = 0; r < R; r++) {
      T left = a[r * row + p * column];
      for (int j = 0; j < N; j++) sum[r][j] += left * right[j];
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; r++) {
#pragma GCC unroll 16
    for (int j = 0; j < N; j++) {
      if (n >= (j + 1) * L) {
        S::store(c + r * stride + j * L, sum[r][j]);
      } else if (n > j * L) {
        T last[L];
        S::store(last, sum[r][j]);
        std::memcpy(c + r * stride + j * L, last, (n - j * L) * sizeof(T));
      }
    }
  }
}

// columns writes all m rows of N vectors of columns, R rows at a time: R·N accumulators should
// fill the vector registers.
template <typename S, int R, int N, typename T>
DI_INLINE void columns(const T* a, int64_t row, int64_t column, const T* b, int64_t width, T* c, int64_t stride,
                       int64_t m, int64_t n, int64_t k) {
  int64_t i = 0;
  for (; i + R <= m; i += R) rows<S, R, N>(a + i * row, row, column, b, width, c + i * stride, stride, n, k);
  if (i + R / 2 <= m) {
    rows<S, R / 2, N>(a + i * row, row, column, b, width, c + i * stride, stride, n, k);
    i += R / 2;
  }
  for (; i + 2 <= m; i += 2) rows<S, 2, N>(a + i * row, row, column, b, width, c + i * stride, stride, n, k);
  for (; i < m; i++) rows<S, 1, N>(a + i * row, row, column, b, width, c + i * stride, stride, n, k);
}

// pack copies an item of b, k×n, to rows of whole vectors.
template <typename T>
void pack(const Batch<T>& b, const T* item, int64_t n, int64_t k, int64_t width, T* packed) {
  for (int64_t p = 0; p < k; p++) {
    for (int64_t j = 0; j < n; j++) packed[p * width + j] = item[p * b.row + j * b.column];
    for (int64_t j = n; j < width; j++) packed[p * width + j] = 0;
  }
}

// times computes N vectors of columns, R rows at a time, from column j.
template <typename S, int R, int N, typename T>
DI_INLINE void times(const SmallProduct<T>& p, int64_t j) {
  columns<S, R, N>(p.a, p.row, p.column, p.b + j, p.apart, p.c + j, p.stride, p.m, p.n - j, p.k);
}

// product has as many accumulators as there are registers.
template <int bytes, typename T>
DI_INLINE void product(const SmallProduct<T>& p) {
  using S = Lanes<T, bytes>;
  constexpr int64_t L = S::count;
  int64_t j = 0;
  if constexpr (bytes == 64) {
    for (; j + 3 * L < p.n; j += 4 * L) times<S, 6, 4>(p, j);
    for (; j < p.n; j += L) times<S, 14, 1>(p, j);
  } else {
    for (; j < p.n; j += 2 * L) times<S, 6, 2>(p, j);
  }
}

// multiply returns a·b, (B,m,k) times (B,k,n); a is transposed first if ta is set, b if tb is.
at::Tensor multiply(const at::Tensor& a, bool ta, const at::Tensor& b, bool tb) {
  int64_t items = a.size(0), m = a.size(ta ? 2 : 1), k = a.size(ta ? 1 : 2), n = b.size(tb ? 1 : 2);
  di::counted_flop += 2 * items * m * k * n;
  auto c = di::empty({items, m, n}, a.options().memory_format(at::MemoryFormat::Contiguous));
  AT_DISPATCH_FLOATING_TYPES(a.scalar_type(), "small_bmm", [&] {
    auto left = batch<scalar_t>(a, ta), right = batch<scalar_t>(b, tb);
    auto* out = static_cast<scalar_t*>(c.data_ptr());
    int64_t width = (n + di::kPadding<scalar_t> - 1) / di::kPadding<scalar_t> * di::kPadding<scalar_t>;
    bool packs = right.column != 1 || n != width;
    int64_t grain = m * n * k < (1 << 20) ? 4 : 1;
    at::parallel_for(0, items, grain, [&](int64_t from, int64_t to) {
      std::vector<scalar_t> packed(packs ? k * width : 0);
      for (int64_t i = from; i < to; i++) {
        const scalar_t* of = right.data + i * right.item;
        if (packs) pack(right, of, n, k, width, packed.data());
        di::multiply(SmallProduct<scalar_t>{left.data + i * left.item, packs ? packed.data() : of, out + i * m * n, left.row, left.column,
                      packs ? width : right.row, n, m, n, k});
      }
    });
  });
  return c;
}

}  // namespace

void di::multiply(const SmallProduct<float>& p) {
  widest([&p](auto bytes) DI_INLINED { product<bytes>(p); });
}

void di::multiply(const SmallProduct<double>& p) {
  widest<32>([&p](auto bytes) DI_INLINED { product<bytes>(p); });
}

di_result1 di_small_bmm(di_tensor a, di_tensor b) noexcept {
  return di::call1([&] {
    Tensors inputs{di::ref(a), di::ref(b)};
    auto left = inputs[0].detach(), right = inputs[1].detach();
    TORCH_CHECK(left.dim() == 3 && right.dim() == 3 && left.size(0) == right.size(0) && left.size(2) == right.size(1),
                "a must be (B,m,k) and b (B,k,n)");
    TORCH_CHECK(left.device().is_cpu() && right.device().is_cpu() && left.scalar_type() == right.scalar_type(),
                "a and b must be of one type on the CPU");
    auto out = multiply(left, false, right, false);
    if (di::needs_gradient(inputs)) {
      di::set_backward(out, inputs, [left, right](const at::Tensor& grad, const std::vector<bool>& wanted) {
        Tensors out(2);
        if (wanted[0]) out[0] = multiply(grad, false, right, true);
        if (wanted[1]) out[1] = multiply(left, true, grad, false);
        return out;
      });
    }
    return out;
  });
}
