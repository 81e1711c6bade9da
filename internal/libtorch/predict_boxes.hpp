// The prediction of boxes from proposals, on GPUs and without gradients, in one launch; cuda/predict_boxes.cu is the kernel.
#include "gpu.h"
#include "kernels.h"
#include "shim.h"

di_result2 di_predict_boxes(const di_boxes_options* options, di_tensor x, di_tensor matrices, di_tensor norms, di_tensor delta,
                            di_tensor bias, di_tensor boxes) noexcept {
  di_result2 r{};
  r.error = di::guard([&] {
    const auto& o = *options;
    auto in = di::ref(x).contiguous(), m = di::ref(matrices).contiguous(), n = di::ref(norms).contiguous(), d = di::ref(delta).contiguous(),
         b = di::ref(bias).contiguous(), from = di::ref(boxes).contiguous();
    TORCH_CHECK(in.is_cuda() && in.dim() == 2 && in.size(1) > 0, "x must be (n,d) on a GPU");
    auto type = di::gpu::computed(in.scalar_type());
    int64_t rows = in.size(0), size = in.size(1), layers = m.size(0);
    TORCH_CHECK(m.dim() == 3 && m.size(1) == size && m.size(2) == size && n.dim() == 3 && n.size(0) == layers && n.size(1) == 2 && n.size(2) == size,
                "matrices must be (layers,d,d) and norms (layers,2,d)");
    TORCH_CHECK(d.dim() == 2 && d.size(0) == 4 && d.size(1) == size && b.numel() == 4 && from.dim() == 2 && from.size(0) == rows && from.size(1) == 4,
                "delta must be (4,d), its bias (4) and boxes (n,4)");
    TORCH_CHECK(di::gpu::computed(m.scalar_type()) == type, "matrices must be computed in the type of x");
    for (const auto& t : {n, d, b, from}) {
      TORCH_CHECK(t.scalar_type() == type && t.device() == in.device() && m.device() == in.device(), "norms, deltas and boxes must be ", type,
                  ", and all tensors on one GPU");
    }
    TORCH_CHECK(8 * size * static_cast<int64_t>(c10::elementSize(type)) <= (40 << 10), "d is too large for the GPU's shared memory");
    auto out = di::empty(from.sizes(), from.options()), kept = o.keep ? di::empty(in.sizes(), from.options()) : at::Tensor();
    di::gpu::run({"predict_boxes.cu", "predict_boxes", {di::gpu::scalar_of(in), di::gpu::stored("X", in.scalar_type()), di::gpu::stored("WEIGHT", m.scalar_type()), di::gpu::define("SIZE", size)}},
                 in, {(rows + 3) / 4}, 256, in.data_ptr(), m.data_ptr(), n.data_ptr(), static_cast<int>(layers), d.data_ptr(), b.data_ptr(),
                 from.data_ptr(), out.data_ptr(), o.keep ? kept.data_ptr() : nullptr, static_cast<long long>(rows), o.eps, o.centre_weight, o.growth);
    r.a = di::wrap(out);
    if (o.keep) r.b = di::wrap(kept);
  });
  return r;
}
