// Gradients of fused kernels. LibTorch's autograd headers take longer to compile than most
// kernels, so only autograd.hpp includes them.
#pragma once
#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

namespace di {

using Tensors = std::vector<at::Tensor>;

// A Backward returns the gradients of an operation's inputs, given that of its output. wanted
// holds which of them are used; the others may be undefined.
using Backward = std::function<Tensors(const at::Tensor& grad, const std::vector<bool>& wanted)>;

// needs_gradient reports whether an operation on inputs is to be recorded.
bool needs_gradient(const Tensors& inputs);

// set_backward records how the gradients of inputs follow from that of out. What backward holds
// is released after the backward pass.
void set_backward(at::Tensor& out, const Tensors& inputs, Backward backward);

}  // namespace di
