// Products with what follows them in one launch on GPUs, without gradients. Elsewhere, and where LibTorch or
// cuDNN has no such product, they are composed of the operators that they replace.
#include <ATen/Context.h>
#include <ATen/ops/_addmm_activation.h>
#include <ATen/ops/cudnn_convolution_add_relu.h>
#include <ATen/ops/cudnn_convolution_relu.h>

#include "compat.h"
#if DI_TORCH_AT_LEAST(2, 0)
#include <ATen/ops/scaled_dot_product_attention.h>
#else
#include <ATen/ops/matmul.h>
#include <ATen/ops/softmax.h>
#endif
#include <c10/core/GradMode.h>

#include <atomic>
#include <cmath>

#include "graph.h"
#include "kernels.h"
#include "shim.h"

namespace {

bool on_gpu(const at::Tensor& x) { return x.is_cuda() && !c10::GradMode::is_enabled() && x.numel() > 0; }

// refused holds the types in which cuDNN has refused a convolution with a ReLU, as bits.
std::atomic<uint64_t> refused{0};

// fuses reports whether cuDNN is asked for a convolution with a ReLU. Its ReLU turns NaN into 0, which in
// float16 would hide an overflow, and it is not made for the large kernels and few channels of a stem.
bool fuses(const at::Tensor& x, const at::Tensor& weight) {
  auto type = x.scalar_type();
  return on_gpu(x) && (type == at::kFloat || type == at::kBFloat16) && weight.scalar_type() == type && weight.dim() == 4 &&
         weight.size(2) <= 3 && weight.size(3) <= 3 && weight.size(1) % 4 == 0 && weight.size(0) % 4 == 0 &&
         at::globalContext().userEnabledCuDNN() && at::globalContext().hasCuDNN() &&
         (refused.load() >> static_cast<int>(type) & 1) == 0;
}

// in_place changes a result, unless it is an error.
template <typename F>
di_result1 in_place(di_result1 r, F&& f) {
  if (r.error != nullptr) return r;
  r.error = di::guard([&] { f(di::ref(r.a)); });
  if (r.error != nullptr) {
    di_free(&r.a, 1);
    r.a = nullptr;
  }
  return r;
}

}  // namespace

di_result1 di_convolution_relu(di_tensor x, di_tensor weight, di_tensor bias, di_tensor add, const int64_t* stride,
                               const int64_t* padding) noexcept {
  if (const auto& t = di::ref(x); fuses(t, di::ref(weight))) {
    auto fused = di::call1([&] {
      const auto& w = di::ref(weight);
      const int64_t dilation[] = {1, 1};
      at::IntArrayRef by(stride, 2), pad(padding, 2), one(dilation, 2);
      auto b = di::optional_ref(bias);
      if (add == nullptr) return at::cudnn_convolution_relu(t, w, b, by, pad, one, 1);
      auto z = di::ref(add).contiguous(w.suggest_memory_format());
      return at::cudnn_convolution_add_relu(t, w, z, at::Scalar(1), b, by, pad, one, 1);
    });
    if (fused.error == nullptr || fused.error->out_of_memory || di::recording()) return fused;
    di_error_free(fused.error);  // what is wrong with the tensors, the operators below say, too
    refused |= uint64_t{1} << static_cast<int>(t.scalar_type());
  }
  return in_place(di_convolution(x, weight, bias, stride, padding), [&](at::Tensor& y) {
    if (add != nullptr) y.add_(di::ref(add));
    y.relu_();
  });
}

di_result1 di_linear_relu(di_tensor x, di_tensor weight, di_tensor bias) noexcept {
  const auto &t = di::ref(x), &w = di::ref(weight);
  if (bias != nullptr && on_gpu(t) && t.dim() >= 2 && w.dim() == 2) {
    return di::call1([&] {
      auto shape = t.sizes().vec();
      shape.back() = w.size(0);
      return at::_addmm_activation(di::ref(bias), t.reshape({-1, t.size(-1)}), w.t()).reshape(shape);
    });
  }
  return in_place(di_linear(x, weight, bias), [](at::Tensor& y) { y.relu_(); });
}

di_result1 di_scaled_attention(di_tensor q, di_tensor k, di_tensor v) noexcept {
  return di::call1([&] {
    const auto &a = di::ref(q), &b = di::ref(k), &c = di::ref(v);
#if DI_TORCH_AT_LEAST(2, 0)
    return at::scaled_dot_product_attention(a, b, c);
#else
    auto weights = at::softmax(at::matmul(a.div(std::sqrt(static_cast<double>(a.size(-1)))), b.transpose(-2, -1)), -1);
    return at::matmul(weights, c);
#endif
  });
}
