// A feature pyramid as GPU kernels take it.
#pragma once
#include <ATen/core/Tensor.h>

#include <cmath>
#include <vector>

namespace di::gpu {

// The struct Levels of cuda/pooling.cuh.
struct Levels {
  void* data[8];
  int height[8], width[8];
  double scale[8], finest;
  int count;
};

// levels_of describes levels (B,C,h,w) in channels-last memory, whose sizes relative to the boxes' coordinates are scales.
inline Levels levels_of(const std::vector<at::Tensor>& levels, const double* scales) {
  Levels out{};
  TORCH_CHECK(levels.size() <= 8, "the GPU kernel takes at most 8 levels, not ", levels.size());
  for (size_t i = 0; i < levels.size(); i++) {
    out.data[i] = levels[i].data_ptr();
    out.height[i] = static_cast<int>(levels[i].size(2));
    out.width[i] = static_cast<int>(levels[i].size(3));
    out.scale[i] = scales[i];
  }
  out.count = static_cast<int>(levels.size());
  out.finest = -std::log2(scales[0]);
  return out;
}

}  // namespace di::gpu
