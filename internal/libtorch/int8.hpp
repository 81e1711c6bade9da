// Convolutions of 8-bit numbers on the CPU, without gradients: LibTorch's quantized operators, which give them to oneDNN and can only
// be reached by their names. Rounding to 8 bits and back is done here, since LibTorch's operators for it take as long as a convolution.
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/ivalue.h>
#include <ATen/ops/_empty_affine_quantized.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/amax.h>
#include <ATen/ops/clamp_min.h>
#include <ATen/ops/quantize_per_channel.h>

#include <algorithm>
#include <atomic>

#include "autograd.h"
#include "count.h"
#include "kernels.h"
#include "lanes.h"
#include "shim.h"

namespace {

// call calls an operator, whose arguments are replaced by its result.
c10::IValue call(const char* name, const char* overload, std::vector<c10::IValue> stack) {
  c10::Dispatcher::singleton().findSchemaOrThrow(name, overload).callBoxed(&stack);
  TORCH_CHECK(stack.size() == 1, name, " gave ", stack.size(), " results");
  return std::move(stack[0]);
}

// A Scale is that of numbers q from 0 to 255: (q − zero)·step.
struct Scale {
  float step, zero;
};

// narrow reports whether all are numbers.
DI_CLONES bool narrow(const float* from, int64_t n, Scale of, uint8_t* to) {
  float factor = 1 / of.step;
  int32_t nans = 0;
  for (int64_t i = 0; i < n; i++) {
    float q = from[i] * factor + of.zero;
    nans |= q != q;
    q = q > 0 ? q : 0;
    q = q < 255 ? q : 255;
    to[i] = static_cast<uint8_t>(static_cast<int32_t>(q + 0.5f));
  }
  return nans == 0;
}

DI_CLONES void widen(const uint8_t* from, int64_t n, Scale of, float* to) {
  for (int64_t i = 0; i < n; i++) to[i] = (static_cast<float>(from[i]) - of.zero) * of.step;
}

DI_CLONES void widen_add_relu(const uint8_t* from, int64_t n, Scale of, const float* add, float* to) {
  for (int64_t i = 0; i < n; i++) {
    float y = (static_cast<float>(from[i]) - of.zero) * of.step + add[i];
    to[i] = y < 0 ? 0 : y;
  }
}

// each calls f for parts of n numbers that are worth a thread.
template <typename F>
void each(int64_t n, F&& f) {
  at::parallel_for(0, n, 1 << 15, [&](int64_t from, int64_t to) { f(from, to - from); });
}

at::Tensor narrowed(const at::Tensor& x, const di_int8_range& range) {
  auto pixels = x.contiguous(at::MemoryFormat::ChannelsLast);
  auto q = at::_empty_affine_quantized(x.sizes(), at::TensorOptions(at::kCPU).dtype(at::kQUInt8), range.step, range.zero, at::MemoryFormat::ChannelsLast);
  const auto* from = static_cast<const float*>(pixels.data_ptr());
  auto* to = static_cast<uint8_t*>(q.data_ptr());
  Scale scale{static_cast<float>(range.step), static_cast<float>(range.zero)};
  std::atomic<bool> numbers{true};
  each(x.numel(), [&](int64_t i, int64_t n) {
    if (!narrow(from + i, n, scale, to + i)) numbers = false;
  });
  TORCH_CHECK(numbers, "x has what is not a number");
  return q;
}

// widened returns q in float32, or max(0, q + add).
at::Tensor widened(const at::Tensor& q, const di_int8_range& range, const di::optional<at::Tensor>& add) {
  auto y = di::empty(q.sizes(), at::TensorOptions(at::kCPU).dtype(at::kFloat).memory_format(at::MemoryFormat::ChannelsLast));
  at::Tensor other;
  if (add) {
    TORCH_CHECK(add->is_cpu() && add->scalar_type() == at::kFloat && add->sizes() == q.sizes(), "what is added must be float32 of the result's shape");
    other = add->contiguous(at::MemoryFormat::ChannelsLast);
  }
  const auto* from = static_cast<const uint8_t*>(q.data_ptr());
  const auto* sum = add ? static_cast<const float*>(other.data_ptr()) : nullptr;
  auto* to = static_cast<float*>(y.data_ptr());
  Scale scale{static_cast<float>(range.step), static_cast<float>(range.zero)};
  each(q.numel(), [&](int64_t i, int64_t n) { sum == nullptr ? widen(from + i, n, scale, to + i) : widen_add_relu(from + i, n, scale, sum + i, to + i); });
  return y;
}

bool has_int8() {
  const auto& engines = at::globalContext().supportedQEngines();
  return std::find(engines.begin(), engines.end(), at::QEngine::ONEDNN) != engines.end();
}

}  // namespace

struct di_int8_convolution_s {
  c10::IValue packed;
  int64_t terms;  // of a sum
  bool relu;      // LibTorch keeps what it has prepared for the first call, without a word on which of the two operators that was
};

bool di_has_int8() noexcept { return has_int8(); }

di_int8_result di_int8_pack(di_tensor weight, di_tensor bias, const int64_t* stride, const int64_t* padding, bool relu) noexcept {
  di_int8_result r{};
  r.error = di::guard([&] {
    const auto& w = di::ref(weight);
    auto b = di::optional_ref(bias);
    TORCH_CHECK(w.is_cpu() && w.scalar_type() == at::kFloat && w.dim() == 4 && w.numel() > 0, "the weight must be float32 (K,C,h,w) on the CPU");
    TORCH_CHECK(!b || (b->is_cpu() && b->scalar_type() == at::kFloat && b->dim() == 1 && b->numel() == w.size(0)), "the bias must be float32 (K) on the CPU");
    TORCH_CHECK(!di::needs_gradient({w}), "there are no gradients");
    TORCH_CHECK(has_int8(), "this LibTorch was built without oneDNN's quantized operators");
    at::globalContext().setQEngine(at::QEngine::ONEDNN);  // which packs
    auto steps = w.abs().flatten(1).amax({1}).to(at::kDouble).div(127).clamp_min(1e-12);
    auto q = at::quantize_per_channel(w.contiguous(), steps, di::zeros({w.size(0)}, at::TensorOptions(at::kCPU).dtype(at::kLong)), 0, at::kQInt8);
    c10::List<int64_t> by({stride[0], stride[1]}), pad({padding[0], padding[1]}), ones({1, 1});
    r.convolution = new di_int8_convolution_s{
        call("quantized::conv2d_prepack", "", {q, b ? c10::IValue(*b) : c10::IValue(), by, pad, ones, static_cast<int64_t>(1)}), w.numel() / w.size(0), relu};
  });
  return r;
}

void di_int8_free(di_int8_convolution c) noexcept { delete c; }

di_result1 di_int8_convolve(di_int8_convolution c, di_tensor x, di_tensor add, const di_int8_options* o) noexcept {
  return di::call1([&] {
    const auto& t = di::ref(x);
    bool narrow = t.scalar_type() == at::kQUInt8;
    TORCH_CHECK(t.is_cpu() && t.dim() == 4 && (narrow || t.scalar_type() == at::kFloat) && t.numel() > 0,
                "x must be (B,C,H,W) in float32, or what such a convolution kept, on the CPU, and not empty");
    TORCH_CHECK(!di::needs_gradient({t}), "there are no gradients");
    TORCH_CHECK(add == nullptr || (!c->relu && !o->keep), "a sum has a ReLU of its own, and is float32");
    auto y = call(c->relu ? "quantized::conv2d_relu" : "quantized::conv2d", "new", {narrow ? t : narrowed(t, o->in), c->packed, o->out.step, o->out.zero}).toTensor();
    di::counted_flop += 2 * y.numel() * c->terms;
    y = y.contiguous(at::MemoryFormat::ChannelsLast);
    return o->keep ? y : widened(y, o->out, di::optional_ref(add));
  });
}
