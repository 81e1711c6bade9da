// Batch norm in training on a GPU with the statistics of all members of a group (SyncBN, Zhang et al. 2018). It is composed
// of LibTorch's operators, so that it is the same on every device and release. Members meet on the host, which therefore
// waits for the GPU once in each direction.
#include <ATen/TensorOperators.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/threshold_backward.h>
#include <ATen/ops/var_mean.h>

#include "autograd.h"
#include "batch_norm.h"
#include "shim.h"

namespace {

using di::Tensors;

const int64_t kPixels[] = {0, 2, 3};

// values copies a vector from the GPU.
std::vector<double> values(const at::Tensor& t) {
  auto host = t.to(at::kCPU, at::kDouble).contiguous();
  const auto* from = static_cast<const double*>(host.data_ptr());
  return {from, from + host.numel()};
}

// like copies numbers to where a tensor is, in its type.
at::Tensor like(std::vector<double> numbers, const at::Tensor& t) {
  auto host = at::from_blob(numbers.data(), {static_cast<int64_t>(numbers.size())}, at::TensorOptions(at::kDouble)).to(t.scalar_type(), false, /*copy=*/true);
  return di::to_device(host, t.device());
}

// wide gives a value per channel the dimensions of a picture.
at::Tensor wide(const at::Tensor& t) { return t.view({1, -1, 1, 1}); }

struct BatchNorm {
  at::Tensor x, weight, y;   // y: after the ReLU, undefined without
  at::Tensor mean, inverse;  // (C), inverse: 1/σ
  double total = 0;          // pixels per channel, over all members
  std::shared_ptr<di::Group> group;
  size_t rank = 0;

  // backward returns the gradients of x, weight and bias; the latter two are sums over this member's pixels only.
  Tensors backward(at::Tensor dy) const {
    if (y.defined()) dy = at::threshold_backward(dy, y, 0);
    dy = dy.to(weight.scalar_type());
    auto far = x.to(weight.scalar_type()) - wide(mean);
    auto plain = dy.sum(kPixels), centred = (dy * far).sum(kPixels);
    auto mine = values(at::stack({plain, centred}).flatten());
    std::vector<double> sums(mine.size());
    for (const auto& part : group->gather(rank, std::move(mine))) {
      for (size_t i = 0; i < sums.size(); i++) sums[i] += part[i] / total;
    }
    auto all = like(std::move(sums), weight).view({2, -1});
    auto scale = weight * inverse;
    // scale·(dy − Σdy/n − (x − mean)·Σ(dy·(x − mean))/(n·σ²))
    auto dx = far.mul_(wide(all[1] * inverse * inverse)).add_(wide(all[0])).neg_().add_(dy).mul_(wide(scale));
    return {dx.to(x.scalar_type()), centred * inverse, plain};
  }
};

}  // namespace

namespace di {

at::Tensor batch_norm_gpu(const Tensors& inputs, at::Tensor running_mean, at::Tensor running_variance, double momentum, double eps,
                          bool relu, const std::shared_ptr<Group>& group, size_t rank) {
  BatchNorm n;
  n.x = inputs[0].detach();
  n.weight = inputs[1].detach();
  auto bias = inputs[2].detach();
  n.group = group;
  n.rank = rank;
  auto [variance, mean] = at::var_mean(n.x.to(n.weight.scalar_type()), kPixels, /*unbiased=*/false);
  auto channels = n.x.size(1);
  double pixels = static_cast<double>(n.x.numel() / std::max<int64_t>(channels, 1));
  auto own = values(at::cat({mean, variance}));
  std::vector<double> mine{pixels};
  mine.insert(mine.end(), own.begin(), own.end());
  for (int64_t c = 0; c < channels; c++) mine[1 + channels + c] *= pixels;  // sums of squared deviations
  auto all = group->gather(rank, std::move(mine));
  auto& sum = all[0];
  for (size_t m = 1; m < all.size(); m++) merge_moments(sum, all[m][0], all[m].data() + 1, all[m].data() + 1 + channels, channels);
  n.total = sum[0];
  TORCH_CHECK(n.total > 1, "the variance needs more than one pixel per channel");
  std::vector<double> numbers(4 * channels);  // mean, variance, unbiased variance, 1/σ
  for (int64_t c = 0; c < channels; c++) {
    double squares = sum[1 + channels + c];
    numbers[c] = sum[1 + c];
    numbers[channels + c] = squares / n.total;
    numbers[2 * channels + c] = squares / (n.total - 1);
    numbers[3 * channels + c] = 1 / std::sqrt(squares / n.total + eps);
  }
  auto rows = like(std::move(numbers), n.weight).view({4, channels});
  n.mean = rows[0];
  n.inverse = rows[3];
  for (auto [running, batch] : {std::pair(running_mean, rows[0]), std::pair(running_variance, rows[2])}) {
    if (running.defined()) running.mul_(1 - momentum).add_(batch, momentum);
  }
  auto out = at::batch_norm(n.x, n.weight, bias, rows[0], rows[1], /*training=*/false, 0, eps, /*cudnn_enabled=*/true);
  if (relu) n.y = out.relu_().detach();
  if (needs_gradient(inputs)) {
    set_backward(out, inputs, [n = std::move(n)](const at::Tensor& grad, const std::vector<bool>&) { return n.backward(grad); });
  }
  return out;
}

}  // namespace di
