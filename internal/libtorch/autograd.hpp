#include "autograd.h"

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>

#include <memory>
#include <type_traits>

namespace di {

namespace {

struct Node : torch::autograd::Node {
  Backward backward;

  torch::autograd::variable_list apply(torch::autograd::variable_list&& grads) override {
    TORCH_CHECK(backward, "the gradient has been taken before, and what it needs is released");
    std::vector<bool> wanted(num_outputs());
    for (size_t i = 0; i < wanted.size(); i++) wanted[i] = task_should_compute_output(i);
    return backward(grads[0], wanted);
  }

  void release_variables() override { backward = nullptr; }
};

// make returns a new autograd node in the smart pointer that autograd uses: a shared_ptr with
// deleteNode (found by argument-dependent lookup) as deleter or, in LibTorch 2.14, an intrusive_ptr.
template <typename N>
auto make() {
  if constexpr (std::is_base_of_v<c10::intrusive_ptr_target, N>) {
    return c10::make_intrusive<N>();
  } else {
    return std::shared_ptr<N>(new N(), [](N* node) { deleteNode(node); });
  }
}

}  // namespace

bool needs_gradient(const Tensors& inputs) { return torch::autograd::compute_requires_grad(inputs); }

void set_backward(at::Tensor& out, const Tensors& inputs, Backward backward) {
  auto node = make<Node>();
  node->backward = std::move(backward);
  node->set_next_edges(torch::autograd::collect_next_edges(inputs));
  torch::autograd::set_history(out, node);
}

}  // namespace di
