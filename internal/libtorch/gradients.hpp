// Gradients that are taken apart from the leaves' own, for graphs that compute them.
#include <ATen/Functions.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/variable.h>

#include <unordered_set>

#include "libtorch.h"
#include "shim.h"

namespace {

std::vector<at::Tensor> tensors(const di_tensor* list, size_t n) {
  std::vector<at::Tensor> out;
  for (size_t i = 0; i < n; i++) out.push_back(di::ref(list[i]));
  return out;
}

// alone returns a gradient as its leaf is laid out, in memory of its own: that of another leaf may be the same tensor, or
// be what was given.
at::Tensor alone(const at::Tensor& gradient, const at::Tensor& leaf) {
  if (gradient.use_count() == 1 && gradient.storage().use_count() == 1 && gradient.strides() == leaf.strides()) return gradient;
  return at::empty_like(leaf, gradient.options()).copy_(gradient);
}

}  // namespace

di_error* di_gradients(const di_tensor* outputs, const di_tensor* given, size_t n, const di_tensor* leaves, size_t m, di_tensor* out) noexcept {
  return di::guard([&] {
    auto of = tensors(leaves, m);
    auto found = torch::autograd::grad(tensors(outputs, n), of, tensors(given, n), /*retain_graph=*/false, /*create_graph=*/false,
                                       /*allow_unused=*/true);
    c10::AutoGradMode off(false);
    for (size_t i = 0; i < m; i++) {
      if (found[i].defined()) found[i] = alone(found[i], of[i]);
    }
    for (size_t i = 0; i < m; i++) {
      if (found[i].defined()) out[i] = di::wrap(found[i]);
    }
  });
}

di_error* di_reached(di_tensor result, const di_tensor* leaves, size_t n, bool* out) noexcept {
  return di::guard([&] {
    std::unordered_set<const torch::autograd::Node*> seen;
    std::vector<const torch::autograd::Node*> next{di::ref(result).grad_fn().get()};
    while (!next.empty()) {
      const auto* node = next.back();
      next.pop_back();
      if (node == nullptr || !seen.insert(node).second) continue;
      for (const auto& edge : node->next_edges()) next.push_back(edge.function.get());
    }
    for (size_t i = 0; i < n; i++) {
      auto end = torch::autograd::impl::try_get_grad_accumulator(di::ref(leaves[i]));
      out[i] = end.get() != nullptr && seen.count(end.get()) > 0;
    }
  });
}

di_error* di_accumulate(const di_tensor* leaves, const di_tensor* gradients, size_t n) noexcept {
  return di::guard([&] {
    c10::AutoGradMode off(false);
    std::vector<at::Tensor> sums, terms;
    for (size_t i = 0; i < n; i++) {
      auto& to = di::ref(leaves[i]).mutable_grad();
      if (to.defined()) {
        sums.push_back(to);
        terms.push_back(di::ref(gradients[i]));
      } else {
        to = di::ref(gradients[i]);
      }
    }
    if (!sums.empty()) at::_foreach_add_(sums, terms);
  });
}

di_error* di_own_grads(const di_tensor* leaves, size_t n) noexcept {
  return di::guard([&] {
    c10::AutoGradMode off(false);
    for (size_t i = 0; i < n; i++) {
      auto& g = di::ref(leaves[i]).mutable_grad();
      if (g.defined()) g = g.clone();
    }
  });
}
