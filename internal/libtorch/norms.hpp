// Layer norm on GPUs with what is around it, without gradients: another norm with a ReLU and the sum before it, the ReLU or the modulation
// after it, and casts; cuda/norms.cu is the kernel. On the CPU, where launching costs nothing, these are
// operators of LibTorch.
#include "gpu.h"
#include "kernels.h"
#include "shim.h"

di_result2 di_layer_norm(const di_layer_norm_options* options, di_tensor x, const di_tensor* inner, di_tensor residual, di_tensor weight,
                         di_tensor bias, di_tensor modulation) noexcept {
  di_result2 r{};
  r.error = di::guard([&] {
    const auto& o = *options;
    auto in = di::ref(x).contiguous(), w = di::ref(weight).contiguous(), b = di::ref(bias).contiguous();
    auto add = di::optional_ref(residual), modulate = di::optional_ref(modulation), inner_weight = di::optional_ref(inner[0]), inner_bias = di::optional_ref(inner[1]);
    TORCH_CHECK(in.is_cuda() && in.dim() >= 1 && w.dim() == 1 && in.size(-1) == w.numel() && b.sizes() == w.sizes() && in.size(-1) > 0,
                "x must be (…, size) on a GPU, weight and bias (size)");
    auto type = di::gpu::computed(in.scalar_type());
    TORCH_CHECK(w.scalar_type() == b.scalar_type() && di::gpu::computed(w.scalar_type()) == type,
                "weight and bias must be of one type, and computed in that of x");
    if (inner_weight) {
      TORCH_CHECK(inner_bias && inner_weight->sizes() == w.sizes() && inner_bias->sizes() == w.sizes() && inner_weight->scalar_type() == w.scalar_type() &&
                      inner_bias->scalar_type() == w.scalar_type(),
                  "weight and bias of both norms must be of one size and type");
      inner_weight = inner_weight->contiguous(), inner_bias = inner_bias->contiguous();
    }
    int64_t size = w.numel(), rows = in.numel() / size, per_picture = 1, step = 0;
    if (add) {
      TORCH_CHECK(add->sizes() == in.sizes() && add->scalar_type() == type, "what is added must have x's shape and be ", type);
      add = add->contiguous();
    }
    if (modulate) {
      int64_t pictures = modulate->size(0);
      TORCH_CHECK(o.second >= 0 && modulate->dim() == 2 && modulate->size(1) == 2 * size && modulate->scalar_type() == type &&
                      pictures > 0 && rows % pictures == 0,
                  "a modulation must be (B, 2·size) in ", type, " for B equal parts of the rows, with a second result");
      if (modulate->stride(1) != 1) modulate = modulate->contiguous();
      step = modulate->stride(0);
      per_picture = std::max<int64_t>(rows / pictures, 1);
    }
    for (const auto& t : {w, b, add.value_or(w), modulate.value_or(w), inner_weight.value_or(w), inner_bias.value_or(w)}) {
      TORCH_CHECK(t.device() == in.device(), "all tensors must be on one GPU");
    }
    auto out = di::empty(in.sizes(), in.options().dtype(static_cast<at::ScalarType>(o.out)));
    auto second = o.second < 0 ? at::Tensor() : di::empty(in.sizes(), in.options().dtype(static_cast<at::ScalarType>(o.second)));
    const auto& typed = second.defined() ? second : out;
    TORCH_CHECK(di::gpu::computed(out.scalar_type()) == type && di::gpu::computed(typed.scalar_type()) == type,
                "results must be of types that are computed in that of x");
    std::vector<std::string> definitions{
        di::gpu::scalar_of(in), di::gpu::stored("X", in.scalar_type()), di::gpu::stored("WEIGHT", w.scalar_type()),
        di::gpu::stored("OUT", out.scalar_type()), di::gpu::stored("SECOND", typed.scalar_type()),
        di::gpu::define("SIZE", size), di::gpu::define("RELU", o.relu), di::gpu::define("INNER", inner_weight.has_value())};
    auto data = [](const di::optional<at::Tensor>& t) { return t ? t->data_ptr() : nullptr; };
    di::gpu::run({"norms.cu", "layer_norm", definitions}, in, {(rows + 3) / 4}, 128, in.data_ptr(), data(inner_weight), data(inner_bias), data(add),
                 w.data_ptr(), b.data_ptr(), data(modulate), static_cast<long long>(step), out.data_ptr(),
                 second.defined() ? second.data_ptr() : nullptr, static_cast<long long>(rows), static_cast<long long>(per_picture), o.eps);
    r.a = di::wrap(out);
    if (second.defined()) r.b = di::wrap(second);
  });
  return r;
}
