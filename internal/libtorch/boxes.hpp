// What the decoder computes of boxes, on GPUs, in one launch each; cuda/boxes.cu has the kernels.
#include <c10/core/GradMode.h>

#include "autograd.h"
#include "gpu.h"
#include "kernels.h"
#include "shim.h"

namespace {

constexpr int kThreads = 128;

// checked returns boxes (…,4) in row-major memory.
at::Tensor checked(di_tensor boxes) {
  auto b = di::ref(boxes).contiguous();
  TORCH_CHECK(b.is_cuda() && b.dim() >= 1 && b.size(-1) == 4 && (b.scalar_type() == at::kFloat || b.scalar_type() == at::kDouble),
              "boxes must be (…,4) of float32 or float64 on a GPU");
  return b;
}

}  // namespace

di_result1 di_apply_deltas(di_tensor boxes, di_tensor deltas, double weight, double growth) noexcept {
  return di::call1([&] {
    auto b = checked(boxes), d = checked(deltas);
    TORCH_CHECK(b.sizes() == d.sizes() && b.scalar_type() == d.scalar_type() && b.device() == d.device(),
                "boxes and deltas must be of one shape and type, and on one GPU");
    TORCH_CHECK(!b.requires_grad() || !c10::GradMode::is_enabled(), "no gradient flows to boxes");
    di::Tensors inputs{di::ref(deltas)};
    bool learns = di::needs_gradient(inputs);
    if (learns) d = d.detach();
    auto launch = [=](const char* function, const void* grad) {
      auto out = di::empty(b.sizes(), b.options());
      int64_t n = b.numel() / 4;
      di::gpu::run({"boxes.cu", function, {di::gpu::scalar_of(b)}}, b, {(n + kThreads - 1) / kThreads}, kThreads, b.data_ptr(),
                   d.data_ptr(), grad, out.data_ptr(), static_cast<long long>(n), weight, growth);
      return out;
    };
    auto out = launch("apply_deltas", nullptr);
    if (learns) {
      di::set_backward(out, inputs, [launch](const at::Tensor& grad, const std::vector<bool>&) {
        return di::Tensors{launch("apply_deltas_backward", grad.contiguous().data_ptr())};
      });
    }
    return out;
  });
}
