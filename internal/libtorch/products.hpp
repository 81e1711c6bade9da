// Linear maps and convolutions without gradients go to oneDNN, which picks its kernels by the processor's features.
// LibTorch gives linear maps in float32, and convolutions that are small or 1×1, to whatever BLAS is installed, which may be a
// slow one, and those in bfloat16 to products of oneDNN that read the weights as they lie, which is slower.
#include <ATen/Context.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mkldnn_convolution.h>

#include "autograd.h"
#include "kernels.h"
#include "lanes.h"
#include "shim.h"

namespace {

using Bias = di::optional<at::Tensor>;

// plain reports whether oneDNN computes with x and weight, both of a type, here.
bool plain(const at::Tensor& x, const at::Tensor& weight, at::ScalarType type) {
  return x.is_cpu() && x.scalar_type() == type && weight.scalar_type() == type && x.numel() > 0 &&
         at::globalContext().userEnabledMkldnn() && at::hasMKLDNN() && !di::needs_gradient({x, weight});
}

// padded appends zeros to the two dimensions of a matrix up to multiples of 16, which oneDNN 3.7 needs:
// it reads what it should have padded itself.
at::Tensor padded(const at::Tensor& t) {
  int64_t rows = DI_ONEDNN_PADS ? 0 : -t.size(0) & 15, columns = DI_ONEDNN_PADS ? 0 : -t.size(1) & 15;
  return rows == 0 && columns == 0 ? t : at::constant_pad_nd(t, {0, columns, 0, rows});
}

// as_convolution returns x·weightᵀ + bias, a 1×1 convolution of a picture of one row in channels-last memory.
at::Tensor as_convolution(const at::Tensor& x, const at::Tensor& weight, const Bias& bias) {
  int64_t in = weight.size(1), out = weight.size(0);
  auto w = padded(weight.contiguous());
  auto flat = x.reshape({-1, in}).contiguous();
  if (int64_t more = w.size(1) - in; more > 0) flat = at::constant_pad_nd(flat, {0, more});
  auto b = bias;
  if (int64_t more = w.size(0) - out; more > 0 && b) b = at::constant_pad_nd(*b, {0, more});
  int64_t m = flat.size(0), k = w.size(1), n = w.size(0);
  auto y = at::mkldnn_convolution(flat.as_strided({1, k, 1, m}, {m * k, 1, m * k, k}), w.view({n, k, 1, 1}), b, {0, 0},
                                  {1, 1}, {1, 1}, 1);
  auto shape = x.sizes().vec();
  shape.back() = out;
  return y.permute({0, 2, 3, 1}).reshape({m, n}).narrow(1, 0, out).reshape(shape);
}

}  // namespace

di_result1 di_linear(di_tensor x, di_tensor weight, di_tensor bias) noexcept {
  return di::call1([&] {
    const auto &t = di::ref(x), &w = di::ref(weight);
    auto b = di::optional_ref(bias);
    bool fits = w.dim() == 2 && t.dim() > 0 && t.size(-1) == w.size(1) && (!b || (b->dim() == 1 && b->size(0) == w.size(0)));
    return fits && (plain(t, w, at::kFloat) || (di::simd() == 64 && plain(t, w, at::kBFloat16))) ? as_convolution(t, w, b) : at::linear(t, w, b);
  });
}

di_result1 di_convolution(di_tensor x, di_tensor weight, di_tensor bias, const int64_t* stride,
                          const int64_t* padding) noexcept {
  return di::call1([&] {
    const auto &t = di::ref(x), &w = di::ref(weight);
    auto b = di::optional_ref(bias);
    at::IntArrayRef by(stride, 2), pad(padding, 2);
    bool fits = t.dim() == 4 && w.dim() == 4 && t.size(1) == w.size(1) && t.size(2) + 2 * pad[0] >= w.size(2) &&
                t.size(3) + 2 * pad[1] >= w.size(3) && (!b || b->numel() == w.size(0));
    if (fits && plain(t, w, at::kFloat)) return at::mkldnn_convolution(t, w, b, pad, by, {1, 1}, 1);
    return at::conv2d(t, w, b, by, pad);
  });
}
