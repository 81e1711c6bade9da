// What batch norm on the CPU and on GPUs have in common.
#pragma once
#include <memory>

#include "autograd.h"
#include "group.h"

namespace di {

// merge_moments adds n pixels to a, which holds the count, the means and the sums of squared deviations
// of a set of pixels (Chan et al. 1979).
void merge_moments(std::vector<double>& a, double n, const double* mean, const double* squares, int64_t channels);

// batch_norm_gpu is di_batch_norm on a GPU. inputs are x, weight and bias; the running statistics may be undefined.
at::Tensor batch_norm_gpu(const Tensors& inputs, at::Tensor running_mean, at::Tensor running_variance, double momentum, double eps,
                          bool relu, const std::shared_ptr<Group>& group, size_t rank);

}  // namespace di
