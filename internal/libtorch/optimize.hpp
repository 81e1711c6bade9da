// Optimiser operations on all parameters in one call: gradient norm, AdamW, moving averages.
// On the CPU the elements of all tensors are divided into pieces of a fixed size, so that results
// do not depend on the number of threads; elsewhere LibTorch's multi-tensor operators (_foreach)
// do the same.
#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_addcdiv.h>
#include <ATen/ops/_foreach_addcmul.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_foreach_sqrt.h>
#include <ATen/ops/norm.h>
#include <ATen/ops/stack.h>
#include <c10/core/GradMode.h>

#include "kernels.h"
#include "lanes.h"
#include "shim.h"

namespace {

constexpr int64_t kPiece = 1 << 14;

struct Piece {
  size_t tensor;
  int64_t from, to;
};

std::vector<Piece> pieces(const std::vector<at::Tensor>& tensors) {
  std::vector<Piece> out;
  for (size_t i = 0; i < tensors.size(); i++) {
    for (int64_t from = 0; from < tensors[i].numel(); from += kPiece) {
      out.push_back({i, from, std::min(from + kPiece, tensors[i].numel())});
    }
  }
  return out;
}

// plain reports whether all tensors are contiguous float32 or float64 on the CPU.
bool plain(const std::vector<at::Tensor>& tensors) {
  for (const auto& t : tensors) {
    auto type = t.scalar_type();
    if (!t.device().is_cpu() || !t.is_contiguous() || (type != at::kFloat && type != at::kDouble)) return false;
  }
  return true;
}

// changed says that tensors were written to, as LibTorch's operators in place do.
void changed(const std::vector<at::Tensor>& tensors) {
  for (const auto& t : tensors) t.unsafeGetTensorImpl()->bump_version();
}

// each visits all pieces, in parallel.
template <typename F>
void each(const std::vector<at::Tensor>& tensors, F&& visit) {
  auto all = pieces(tensors);
  at::parallel_for(0, static_cast<int64_t>(all.size()), 4, [&](int64_t a, int64_t b) {
    for (int64_t i = a; i < b; i++) visit(i, all[i]);
  });
}

// gradients returns the gradients of the parameters that have one, and in `of` the indices of those
// parameters. Gradients of contiguous parameters are made contiguous.
std::vector<at::Tensor> gradients(const di_tensor* parameters, size_t n, std::vector<size_t>& of) {
  std::vector<at::Tensor> out;
  for (size_t i = 0; i < n; i++) {
    const auto& p = di::ref(parameters[i]);
    auto& g = di::ref(parameters[i]).mutable_grad();
    if (!g.defined()) continue;
    if (p.is_contiguous() && !g.is_contiguous()) g = g.contiguous();
    out.push_back(g);
    of.push_back(i);
  }
  return out;
}

template <typename T>
DI_INLINE double squares(const T* x, int64_t n) {
  double sum[16] = {};
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) {
    for (int64_t k = 0; k < 16; k++) sum[k] += static_cast<double>(x[i + k]) * static_cast<double>(x[i + k]);
  }
  for (; i < n; i++) sum[0] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  double all = 0;
  for (double s : sum) all += s;
  return all;
}

DI_CLONES double squares_of(const float* x, int64_t n) { return squares(x, n); }
DI_NARROW_CLONES double squares_of(const double* x, int64_t n) { return squares(x, n); }

// The coefficients of one step of AdamW for one parameter.
struct Rates {
  double keep;           // weight decay: 1 − η·λ
  double beta1, beta2;   // decay of the moments
  double root;           // bias correction: √(1−β₂ᵗ)
  double eps, move;      // ε, η/(1−β₁ᵗ)
};

template <typename T>
DI_INLINE void adamw(T* __restrict p, const T* __restrict g, T* __restrict mean, T* __restrict square, int64_t n,
                     const Rates& r) {
  const T keep = static_cast<T>(r.keep), beta1 = static_cast<T>(r.beta1), beta2 = static_cast<T>(r.beta2);
  const T rest1 = static_cast<T>(1 - r.beta1), rest2 = static_cast<T>(1 - r.beta2);
  const T scale = static_cast<T>(1 / r.root), eps = static_cast<T>(r.eps), move = static_cast<T>(r.move);
  for (int64_t i = 0; i < n; i++) {
    T m = mean[i] * beta1 + g[i] * rest1;
    T v = square[i] * beta2 + g[i] * g[i] * rest2;
    mean[i] = m;
    square[i] = v;
    p[i] = p[i] * keep - move * (m / (std::sqrt(v) * scale + eps));
  }
}

DI_CLONES void adamw_of(float* p, const float* g, float* mean, float* square, int64_t n, const Rates& r) {
  adamw(p, g, mean, square, n, r);
}

DI_NARROW_CLONES void adamw_of(double* p, const double* g, double* mean, double* square, int64_t n, const Rates& r) {
  adamw(p, g, mean, square, n, r);
}

template <typename T>
DI_INLINE void lerp(T* __restrict a, const T* __restrict b, int64_t n, double weight) {
  const T w = static_cast<T>(weight);
  for (int64_t i = 0; i < n; i++) a[i] += w * (b[i] - a[i]);
}

DI_CLONES void lerp_of(float* a, const float* b, int64_t n, double weight) { lerp(a, b, n, weight); }
DI_NARROW_CLONES void lerp_of(double* a, const double* b, int64_t n, double weight) { lerp(a, b, n, weight); }

double norm(const std::vector<at::Tensor>& grads) {
  if (!plain(grads)) {
    return at::norm(at::stack(at::_foreach_norm(grads)).to(at::kDouble)).item<double>();
  }
  std::vector<double> sums(pieces(grads).size());
  each(grads, [&](int64_t i, const Piece& p) {
    AT_DISPATCH_FLOATING_TYPES(grads[p.tensor].scalar_type(), "norm", [&] {
      sums[i] = squares_of(static_cast<const scalar_t*>(grads[p.tensor].data_ptr()) + p.from, p.to - p.from);
    });
  });
  double all = 0;
  for (double s : sums) all += s;
  return std::sqrt(all);
}

void scale(const std::vector<at::Tensor>& grads, double factor) {
  if (!plain(grads)) {
    at::_foreach_mul_(grads, factor);
    return;
  }
  each(grads, [&](int64_t, const Piece& p) {
    AT_DISPATCH_FLOATING_TYPES(grads[p.tensor].scalar_type(), "scale", [&] {
      auto* g = static_cast<scalar_t*>(grads[p.tensor].data_ptr());
      for (int64_t i = p.from; i < p.to; i++) g[i] *= static_cast<scalar_t>(factor);
    });
  });
}

}  // namespace

di_error* di_clip_norm(const di_tensor* parameters, size_t n, double limit, double* found) noexcept {
  return di::guard([&] {
    c10::AutoGradMode off(false);
    std::vector<size_t> of;
    auto grads = gradients(parameters, n, of);
    *found = grads.empty() ? 0 : norm(grads);
    if (limit <= 0 || !std::isfinite(*found)) return;
    // As PyTorch's clip_grad_norm_: gradients never grow, and a norm of 0 does not divide by zero.
    double factor = limit / (*found + 1e-6);
    if (factor >= 1) return;
    scale(grads, factor);
  });
}

di_error* di_scale_grads(const di_tensor* parameters, size_t n, double factor) noexcept {
  return di::guard([&] {
    c10::AutoGradMode off(false);
    std::vector<size_t> of;
    scale(gradients(parameters, n, of), factor);
  });
}

di_error* di_add_grads(const di_tensor* to, const di_tensor* from, size_t n) noexcept {
  return di::guard([&] {
    c10::AutoGradMode off(false);
    std::vector<at::Tensor> sums, terms;
    for (size_t i = 0; i < n; i++) {
      auto &a = di::ref(to[i]).mutable_grad(), &b = di::ref(from[i]).mutable_grad();
      if (!b.defined()) continue;
      if (!a.defined()) {
        a = std::move(b);
      } else {
        TORCH_CHECK(a.sizes() == b.sizes(), "the two gradients of parameter ", i, " differ in shape");
        if (!a.is_contiguous()) a = a.contiguous();
        sums.push_back(a);
        terms.push_back(b.to(a.scalar_type()).contiguous());
      }
      b = at::Tensor();
    }
    if (!plain(sums)) {
      if (!sums.empty()) at::_foreach_add_(sums, terms);
      return;
    }
    each(sums, [&](int64_t, const Piece& p) {
      AT_DISPATCH_FLOATING_TYPES(sums[p.tensor].scalar_type(), "add", [&] {
        auto* a = static_cast<scalar_t*>(sums[p.tensor].data_ptr());
        const auto* b = static_cast<const scalar_t*>(terms[p.tensor].data_ptr());
        for (int64_t i = p.from; i < p.to; i++) a[i] += b[i];
      });
    });
  });
}

di_error* di_adamw(const di_tensor* parameters, const di_tensor* means, const di_tensor* squares, int64_t* steps,
                   size_t n, double rate, double decay, double beta1, double beta2, double eps) noexcept {
  return di::guard([&] {
    c10::AutoGradMode off(false);
    std::vector<size_t> of;
    auto grads = gradients(parameters, n, of);
    std::vector<at::Tensor> p, mean, square;
    std::vector<Rates> rates;
    for (size_t i : of) {
      p.push_back(di::ref(parameters[i]));
      mean.push_back(di::ref(means[i]));
      square.push_back(di::ref(squares[i]));
      for (const auto* t : {&mean.back(), &square.back(), &grads[p.size() - 1]}) {
        TORCH_CHECK(t->sizes() == p.back().sizes() && t->scalar_type() == p.back().scalar_type(), "parameter ", i,
                    ", its gradient and its moments differ in shape or type");
      }
      auto t = static_cast<double>(++steps[i]);
      rates.push_back({1 - rate * decay, beta1, beta2, std::sqrt(1 - std::pow(beta2, t)), eps,
                       rate / (1 - std::pow(beta1, t))});
    }
    if (!plain(p) || !plain(grads) || !plain(mean) || !plain(square)) {
      if (p.empty()) return;
      std::vector<at::Scalar> roots, moves;
      for (const auto& r : rates) roots.emplace_back(1 / r.root), moves.emplace_back(-r.move);
      at::_foreach_mul_(p, rates.front().keep);
      at::_foreach_mul_(mean, beta1);
      at::_foreach_add_(mean, grads, 1 - beta1);
      at::_foreach_mul_(square, beta2);
      at::_foreach_addcmul_(square, grads, grads, 1 - beta2);
      auto size = at::_foreach_sqrt(square);
      at::_foreach_mul_(size, roots);
      at::_foreach_add_(size, eps);
      at::_foreach_addcdiv_(p, mean, size, moves);
      return;
    }
    each(p, [&](int64_t, const Piece& at) {
      AT_DISPATCH_FLOATING_TYPES(p[at.tensor].scalar_type(), "adamw", [&] {
        auto data = [&](std::vector<at::Tensor>& list) {
          return static_cast<scalar_t*>(list[at.tensor].data_ptr()) + at.from;
        };
        adamw_of(data(p), data(grads), data(mean), data(square), at.to - at.from, rates[at.tensor]);
      });
    });
    for (const auto* list : {&p, &mean, &square}) changed(*list);
  });
}

di_error* di_lerp(const di_tensor* to, const di_tensor* ends, size_t n, double weight) noexcept {
  return di::guard([&] {
    c10::AutoGradMode off(false);
    auto a = di::list(to, n), b = di::list(ends, n);
    for (size_t i = 0; i < n; i++) {
      TORCH_CHECK(a[i].sizes() == b[i].sizes() && a[i].scalar_type() == b[i].scalar_type(),
                  "the two tensors of pair ", i, " differ in shape or type");
    }
    if (!plain(a) || !plain(b)) {
      if (n > 0) at::_foreach_mul_(a, 1 - weight), at::_foreach_add_(a, b, weight);
      return;
    }
    each(a, [&](int64_t, const Piece& p) {
      AT_DISPATCH_FLOATING_TYPES(a[p.tensor].scalar_type(), "lerp", [&] {
        lerp_of(static_cast<scalar_t*>(a[p.tensor].data_ptr()) + p.from,
                static_cast<const scalar_t*>(b[p.tensor].data_ptr()) + p.from, p.to - p.from, weight);
      });
    });
    changed(a);
  });
}
