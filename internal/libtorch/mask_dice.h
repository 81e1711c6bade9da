// The dice losses of dynamic masks on a GPU, without their gradient history; see mask_dice.hpp.
#pragma once
#include <ATen/core/Tensor.h>

#include <utility>

#include "gpu.h"

namespace di::gpu {

// MaskDice is contiguous tensors on one GPU: features (B,C,h,w), filters (M,params) in the type that kernels compute in,
// truths (G,h·w), and int64 (M) the picture and the row of truths of each filter.
struct MaskDice {
  at::Tensor features, filters, truths, image, truth;
  int64_t layers;

  // losses returns the losses (M) and the sums (M,2) that they are made of: Σpg and Σp²+Σg²+ε.
  std::pair<at::Tensor, at::Tensor> losses() const;

  // gradients returns the gradients of features and filters, given the sums and the gradient of the losses (M).
  std::pair<at::Tensor, at::Tensor> gradients(const at::Tensor& sums, const at::Tensor& grad) const;

 private:
  int64_t tile() const;
  Kernel kernel(const char* function) const;
};

}  // namespace di::gpu
