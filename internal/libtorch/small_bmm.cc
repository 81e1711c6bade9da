// Batched products of small matrices, forward and backward. Without MKL, LibTorch calls BLAS
// once per pair, and the overhead of these calls exceeds the time of the products.
#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>

#include "kernels.h"
#include "lanes.h"
#include "shim.h"

namespace {

using di::Lanes;
using torch::autograd::variable_list;

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
template <typename T, int R, int N>
DI_INLINE void rows(const T* a, int64_t row, int64_t column, const T* b, int64_t width, T* c, int64_t stride,
                    int64_t n, int64_t k) {
  using V = typename Lanes<T>::V;
  constexpr int64_t L = Lanes<T>::count;
  V sum[R][N];
  for (int r = 0; r < R; r++) {
    for (int j = 0; j < N; j++) sum[r][j] = V{};
  }
  for (int64_t p = 0; p < k; p++) {
    V right[N];
    for (int j = 0; j < N; j++) right[j] = di::load<T>(b + p * width + j * L);
    for (int r = 0; r < R; r++) {
      T left = a[r * row + p * column];
      for (int j = 0; j < N; j++) sum[r][j] += left * right[j];
    }
  }
  for (int r = 0; r < R; r++) {
    for (int j = 0; j < N; j++) {
      T* to = c + r * stride + j * L;
      if (int64_t rest = n - j * L; rest >= L) {
        di::store<T>(to, sum[r][j]);
      } else {
        std::memcpy(to, &sum[r][j], rest * sizeof(T));
      }
    }
  }
}

// columns writes all m rows of N vectors of columns, R rows at a time: R·N accumulators should
// fill the vector registers.
template <typename T, int R, int N>
DI_INLINE void columns(const T* a, int64_t row, int64_t column, const T* b, int64_t width, T* c, int64_t stride,
                       int64_t m, int64_t n, int64_t k) {
  int64_t i = 0;
  for (; i + R <= m; i += R) rows<T, R, N>(a + i * row, row, column, b, width, c + i * stride, stride, n, k);
  if (i + R / 2 <= m) {
    rows<T, R / 2, N>(a + i * row, row, column, b, width, c + i * stride, stride, n, k);
    i += R / 2;
  }
  for (; i + 2 <= m; i += 2) rows<T, 2, N>(a + i * row, row, column, b, width, c + i * stride, stride, n, k);
  for (; i < m; i++) rows<T, 1, N>(a + i * row, row, column, b, width, c + i * stride, stride, n, k);
}

// product writes the items from … to−1 of the batch c = a·b, m×n each and contiguous. Items of b
// are packed first unless their rows are contiguous and whole vectors long.
template <typename T>
DI_INLINE void product(const Batch<T>& a, const Batch<T>& b, T* c, int64_t m, int64_t n, int64_t k, int64_t from,
                       int64_t to, bool wide, T* packed) {
  constexpr int64_t L = Lanes<T>::count;
  int64_t width = (n + L - 1) / L * L;
  for (int64_t i = from; i < to; i++) {
    const T* right = b.data + i * b.item;
    int64_t apart = b.row;
    if (b.column != 1 || n != width) {
      for (int64_t p = 0; p < k; p++) {
        for (int64_t j = 0; j < n; j++) packed[p * width + j] = right[p * b.row + j * b.column];
        for (int64_t j = n; j < width; j++) packed[p * width + j] = 0;
      }
      right = packed;
      apart = width;
    }
    const T* left = a.data + i * a.item;
    T* out = c + i * m * n;
    int64_t j = 0;
    for (; wide && j + 3 * L < n; j += 4 * L) {
      columns<T, 6, 4>(left, a.row, a.column, right + j, apart, out + j, n, m, n - j, k);
    }
    for (; wide && j < n; j += L) columns<T, 14, 1>(left, a.row, a.column, right + j, apart, out + j, n, m, n - j, k);
    for (; j < n; j += L) columns<T, 6, 1>(left, a.row, a.column, right + j, apart, out + j, n, m, n - j, k);
  }
}

DI_CLONES void product_of(const Batch<float>& a, const Batch<float>& b, float* c, int64_t m, int64_t n, int64_t k,
                          int64_t from, int64_t to, bool wide, float* packed) {
  product(a, b, c, m, n, k, from, to, wide, packed);
}

DI_CLONES void product_of(const Batch<double>& a, const Batch<double>& b, double* c, int64_t m, int64_t n, int64_t k,
                          int64_t from, int64_t to, bool wide, double* packed) {
  product(a, b, c, m, n, k, from, to, wide, packed);
}

// wide_registers reports whether two dozen 64-byte vectors fit into registers (AVX-512).
bool wide_registers() {
#ifdef __x86_64__
  static const bool wide = __builtin_cpu_supports("avx512f");
  return wide;
#else
  return false;
#endif
}

// multiply returns a·b, (B,m,k) times (B,k,n); a is transposed first if ta is set, b if tb is.
at::Tensor multiply(const at::Tensor& a, bool ta, const at::Tensor& b, bool tb) {
  int64_t items = a.size(0), m = a.size(ta ? 2 : 1), k = a.size(ta ? 1 : 2), n = b.size(tb ? 1 : 2);
  auto c = at::empty({items, m, n}, a.options().memory_format(at::MemoryFormat::Contiguous));
  AT_DISPATCH_FLOATING_TYPES(a.scalar_type(), "small_bmm", [&] {
    auto left = batch<scalar_t>(a, ta), right = batch<scalar_t>(b, tb);
    auto* out = static_cast<scalar_t*>(c.data_ptr());
    at::parallel_for(0, items, 4, [&](int64_t from, int64_t to) {
      std::vector<scalar_t> packed(k * (n + Lanes<scalar_t>::count));
      product_of(left, right, out, m, n, k, from, to, wide_registers(), packed.data());
    });
  });
  return c;
}

struct SmallBmmBackward : torch::autograd::Node {
  at::Tensor a, b;

  variable_list apply(variable_list&& grads) override {
    variable_list out(2);
    if (task_should_compute_output(0)) out[0] = multiply(grads[0], false, b, true);
    if (task_should_compute_output(1)) out[1] = multiply(a, true, grads[0], false);
    return out;
  }

  void release_variables() override { a.reset(), b.reset(); }
};

}  // namespace

di_result1 di_small_bmm(di_tensor a, di_tensor b) noexcept {
  return di::call1([&] {
    variable_list inputs{di::ref(a), di::ref(b)};
    auto left = inputs[0].detach(), right = inputs[1].detach();
    TORCH_CHECK(left.dim() == 3 && right.dim() == 3 && left.size(0) == right.size(0) && left.size(2) == right.size(1),
                "a must be (B,m,k) and b (B,k,n)");
    TORCH_CHECK(left.device().is_cpu() && right.device().is_cpu() && left.scalar_type() == right.scalar_type(),
                "a and b must be of one type on the CPU");
    auto out = multiply(left, false, right, false);
    if (torch::autograd::compute_requires_grad(inputs)) {
      auto node = di::make_node<SmallBmmBackward>();
      node->a = left;
      node->b = right;
      node->set_next_edges(torch::autograd::collect_next_edges(inputs));
      torch::autograd::set_history(out, node);
    }
    return out;
  });
}
