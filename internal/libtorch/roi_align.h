// Pooling of single boxes, for kernels that go on with what is pooled; see roi_align.hpp.
#pragma once
#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

#include "libtorch.h"

namespace di {

// RoIs are boxes (R,4), the picture and the level of each, int64 (R), and the channels-last levels (B,C,H,W) of a pyramid.
struct RoIs {
  std::vector<at::Tensor> levels;
  at::Tensor boxes, image, level;
  std::vector<double> scales;  // of the levels
  int64_t bins, samples;       // per side; per bin and side
};

// rois checks what di_roi_align is given.
RoIs rois(const di_tensor* levels, const double* scales, size_t n, di_tensor boxes, di_tensor image, di_tensor level, int64_t bins, int64_t samples);

// pooler returns a function, for one thread, that writes what RoIAlign gives for a box, (bins²,C), of levels in float32 or
// bfloat16 on the CPU.
std::function<void(int64_t r, float* out)> pooler(const RoIs& rois);

// dynamic_conv returns what di_dynamic_conv gives for what is pooled, on the CPU.
at::Tensor dynamic_conv(RoIs rois, const at::Tensor& matrices, const di_tensor* norms, double eps);

}  // namespace di
