// The losses of all supervised decoder stages of a training step on a GPU, in eight launches forward and six backward,
// however many there are; cuda/stage_losses.cu and cuda/mask_dice.cu have the kernels. On the CPU package train
// composes them of operators.
#include <ATen/ops/cat.h>
#include <ATen/ops/index_select.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "autograd.h"
#include "kernels.h"
#include "mask_dice.h"
#include "shim.h"

namespace {

using di::Tensors;

constexpr int kRows = 128, kThreads = 256;  // threads per block that work on boxes, and on logits
constexpr int64_t kBlocks = 64;             // that a stage's logits are divided among, at most

// The inputs of the forward and backward passes; tensors are contiguous and on one GPU.
struct StageLosses {
  di_stage_loss_options o;
  int64_t stages, rows, classes, proposals;  // proposals are of one picture, rows of all
  at::Tensor logits, boxes, filters;         // (S,rows,classes), (S,rows,4), (S·rows,params)
  at::Tensor features, masks;                // (B,C,h,w), (G,h·w)
  at::Tensor truths, sizes, kinds, plan;     // float32 (G,4) and (B,2), int64 (2,G) and as cuda/stage_losses.cu reads it
  at::Tensor dice, sums, quality, picked;    // of the forward pass: (M), (M,2), (M), and the pairs' filters (M,params)

  using Long = long long;

  at::Tensor picks(int64_t field) const { return plan.narrow(0, stages * rows + field * o.pairs, o.pairs); }

  di::gpu::MaskDice masks_of() const {
    return {features, picked, masks, picks(1), picks(2), o.layers};
  }

  di::gpu::Kernel kernel(const char* function) const {
    using di::gpu::define;
    return {"stage_losses.cu", function,
            {di::gpu::scalar_of(boxes), define("QUALITY", o.quality), define("FOCAL", o.focal), define("COLUMNS", o.columns)}};
  }

  at::Tensor like(at::IntArrayRef shape) const { return di::empty(shape, boxes.options()); }
  int64_t box_blocks() const { return (rows + kRows - 1) / kRows; }
  int64_t class_blocks() const { return std::min((rows * classes + 4 * kThreads - 1) / (4 * kThreads), kBlocks); }

  at::Tensor forward() {
    if (o.pairs > 0) {
      picked = at::index_select(filters, 0, picks(0));
      std::tie(dice, sums) = masks_of().losses();
    } else {
      dice = like({0});
    }
    quality = o.quality ? like({o.pairs}) : dice;
    auto class_sums = like({stages, class_blocks()}), box_sums = like({stages, box_blocks(), 2}), terms = like({stages, 4});
    di::gpu::run(kernel("box_losses"), boxes, {box_blocks(), stages}, kRows, boxes.data_ptr(), plan.data_ptr(), truths.data_ptr(),
                 sizes.data_ptr(), kinds.data_ptr(), dice.data_ptr(), quality.data_ptr(), box_sums.data_ptr(), Long(rows), Long(proposals),
                 Long(o.pairs), Long(truths.size(0)));
    di::gpu::run(kernel("class_losses"), boxes, {class_blocks(), stages}, kThreads, logits.data_ptr(), plan.data_ptr(), kinds.data_ptr(),
                 quality.data_ptr(), class_sums.data_ptr(), Long(rows), Long(classes), Long(o.pairs), o.alpha, o.gamma);
    di::gpu::run(kernel("stage_terms"), boxes, {1, stages}, kRows, class_sums.data_ptr(), box_sums.data_ptr(), dice.data_ptr(),
                 plan.data_ptr(), terms.data_ptr(), Long(class_blocks()), Long(box_blocks()), Long(rows), Long(o.pairs), o.weights[0],
                 o.weights[1], o.weights[2], o.weights[3]);
    return terms;
  }

  struct Gradients {
    at::Tensor logits, boxes, filters, features;
  };

  // backward returns the gradients, given the gradient of the terms; of filters and features only if they are wanted.
  Gradients backward(const at::Tensor& grad, bool masked) const {
    Gradients d{like(logits.sizes()), like(boxes.sizes()), {}, {}};
    auto ddice = like({o.pairs});
    di::gpu::run(kernel("box_losses_backward"), boxes, {box_blocks(), stages}, kRows, boxes.data_ptr(), plan.data_ptr(), truths.data_ptr(),
                 sizes.data_ptr(), grad.data_ptr(), d.boxes.data_ptr(), ddice.data_ptr(), Long(rows), Long(proposals), Long(o.pairs),
                 o.weights[1], o.weights[2], o.weights[3]);
    di::gpu::run(kernel("class_losses_backward"), boxes, {class_blocks(), stages}, kThreads, logits.data_ptr(), plan.data_ptr(),
                 kinds.data_ptr(), quality.data_ptr(), grad.data_ptr(), d.logits.data_ptr(), Long(rows), Long(classes), Long(o.pairs),
                 o.alpha, o.gamma, o.weights[0]);
    if (!masked) return d;
    d.filters = di::zeros(filters.sizes(), filters.options());
    if (o.pairs == 0) {
      d.features = di::zeros(features.sizes(), filters.options());
      return d;
    }
    auto [dfeatures, dpicked] = masks_of().gradients(sums, ddice);
    d.features = dfeatures;
    d.filters.index_copy_(0, picks(0), dpicked);
    return d;
  }
};

// joined returns tensors (B,N,…) of all stages, one after the other, in a type.
at::Tensor joined(const Tensors& stages, at::ScalarType type) {
  return (stages.size() == 1 ? stages[0] : at::cat(stages, 0)).to(type).contiguous();
}

}  // namespace

di_result1 di_stage_losses(const di_stage_loss_options* options, const di_stage_targets* targets, di_tensor features,
                           const di_tensor* logits, const di_tensor* boxes, const di_tensor* filters, size_t stages) noexcept {
  return di::call1([&] {
    TORCH_CHECK(stages > 0, "there must be a stage");
    Tensors inputs{di::ref(features)}, l = di::list(logits, stages), b = di::list(boxes, stages), f = di::list(filters, stages);
    auto type = di::gpu::computed(b[0].scalar_type());
    for (size_t i = 0; i < stages; i++) {
      TORCH_CHECK(l[i].dim() == 3 && b[i].dim() == 3 && f[i].dim() == 3 && b[i].size(2) == 4 && l[i].sizes().slice(0, 2) == b[0].sizes().slice(0, 2) &&
                      b[i].sizes() == b[0].sizes() && f[i].sizes().slice(0, 2) == b[0].sizes().slice(0, 2) && l[i].sizes() == l[0].sizes() &&
                      f[i].sizes() == f[0].sizes(),
                  "logits, boxes and filters must be (B,N,classes), (B,N,4) and (B,N,params), the same for each stage");
      TORCH_CHECK(di::gpu::computed(l[i].scalar_type()) == type && di::gpu::computed(f[i].scalar_type()) == type,
                  "logits, boxes and filters must be computed in one type");
    }
    for (const auto* list : {&l, &b, &f}) inputs.insert(inputs.end(), list->begin(), list->end());
    for (const auto& t : inputs) TORCH_CHECK(t.is_cuda() && t.device() == inputs[0].device(), "predictions must be on one GPU");
    bool learns = di::needs_gradient(inputs);
    c10::AutoGradMode off(false);
    int64_t images = b[0].size(0), s = static_cast<int64_t>(stages), rows = images * b[0].size(1), classes = l[0].size(2);
    StageLosses x{*options, s, rows, classes, b[0].size(1),
                  joined(l, type), joined(b, type), joined(f, type).reshape({s * rows, -1}),
                  inputs[0].detach().contiguous(), di::ref(targets->masks), di::ref(targets->boxes), di::ref(targets->sizes),
                  di::ref(targets->kinds), di::ref(targets->plan), {}, {}, {}, {}};
    int64_t c = x.features.size(1), layers = x.o.layers, objects = x.truths.size(0), m = x.o.pairs;
    TORCH_CHECK(x.features.dim() == 4 && x.features.size(0) == images && di::gpu::computed(x.features.scalar_type()) == type,
                "features must be (B,C,h,w), computed in the type of the boxes");
    TORCH_CHECK(layers >= 1 && x.filters.size(1) == (layers - 1) * (c * c + c) + c + 1, "filters do not fit ", layers, " layers of ", c, " channels");
    TORCH_CHECK(x.masks.dim() == 2 && x.masks.size(0) == objects && (objects == 0 || x.masks.size(1) == x.features.size(2) * x.features.size(3)) &&
                    x.truths.sizes() == at::IntArrayRef({objects, 4}) && x.sizes.sizes() == at::IntArrayRef({images, 2}) &&
                    x.kinds.sizes() == at::IntArrayRef({2, objects}),
                "masks must be (G,h·w), boxes (G,4), sizes (B,2), kinds (2,G)");
    TORCH_CHECK(m >= 0 && x.plan.dim() == 1 && x.plan.numel() == s * rows + 3 * m + 2 * s + 1 + (x.o.columns ? s * classes : 0),
                "the plan does not have the size that ", s, " stages of ", rows, " proposals and ", m, " pairs need");
    for (const auto* t : {&x.masks, &x.truths, &x.sizes, &x.kinds, &x.plan}) {
      TORCH_CHECK(t->is_contiguous() && t->device() == inputs[0].device(), "targets must be contiguous and on the GPU of the predictions");
    }
    TORCH_CHECK(x.truths.scalar_type() == at::kFloat && x.sizes.scalar_type() == at::kFloat && x.kinds.scalar_type() == at::kLong &&
                    x.plan.scalar_type() == at::kLong,
                "boxes and sizes must be float32, kinds and plan int64");
    auto out = x.forward();
    if (!learns) return out;
    std::vector<at::ScalarType> types;
    for (const auto& t : inputs) types.push_back(t.scalar_type());
    auto shapes = std::vector<std::vector<int64_t>>{l[0].sizes().vec(), b[0].sizes().vec(), f[0].sizes().vec()};
    // The features may be detached, and so may the filters of all stages.
    bool masked = inputs[0].requires_grad() || f[0].requires_grad();
    di::set_backward(out, inputs, [x, types, shapes, masked](const at::Tensor& grad, const std::vector<bool>& wanted) {
      auto d = x.backward(grad.contiguous(), masked);
      Tensors out(types.size());
      if (wanted[0] && masked) out[0] = d.features.to(types[0]);
      const at::Tensor* lists[] = {&d.logits, &d.boxes, &d.filters};
      for (size_t k = 0; k < 3; k++) {
        if (!lists[k]->defined()) continue;
        size_t first = 1 + k * x.stages;
        auto all = lists[k]->to(types[first]).view({x.stages, -1});
        for (int64_t i = 0; i < x.stages; i++) {
          if (wanted[first + i]) out[first + i] = all.select(0, i).view(shapes[k]);
        }
      }
      return out;
    });
    return out;
  });
}
