// RoIAlign with the dynamic convolution of what it pools, without gradients. On GPUs it is one launch of cuda/dynamic_conv.cu:
// neither pooled features nor what lies between both products gets out of a block's shared memory. On the CPU, decoder.hpp
// keeps them in a core's caches.
#include "autograd.h"
#include "count.h"
#include "gpu.h"
#include "kernels.h"
#include "levels.h"
#include "roi_align.h"
#include "shim.h"

namespace {

// tile_of returns how many of the bins a block takes, a multiple of 4: as many as its shared memory and, with four sums each, its
// registers hold, in blocks of about one size.
int64_t tile_of(int64_t bins, int64_t channels, int64_t width) {
  constexpr int64_t kThreads = 256, kMemory = (48 << 10) - (8 * 2 * 32 * 4), kSums = 8;
  int64_t fours = (bins + 3) / 4, fit = kMemory / (16 * (channels + width)), groups = std::max<int64_t>(kThreads / std::max(channels, width), 1);
  TORCH_CHECK(fit > 0, "d and w are too large for the GPU's shared memory");
  int64_t most = std::min(fit, kSums * groups), tiles = (fours + most - 1) / most;
  return 4 * ((fours + tiles - 1) / tiles);
}

}  // namespace

di_result1 di_dynamic_conv_pooled(const di_tensor* levels, const double* scales, size_t n_levels, di_tensor boxes, di_tensor image,
                                  di_tensor level, di_tensor matrices, const di_tensor* norms, int64_t bins, int64_t samples, double eps) noexcept {
  return di::call1([&] {
    if (di::ref(boxes).is_cpu()) {
      return di::dynamic_conv(di::rois(levels, scales, n_levels, boxes, image, level, bins, samples), di::ref(matrices).contiguous(), norms, eps);
    }
    auto pyramid = di::list(levels, n_levels);
    auto b = di::ref(boxes).contiguous(), im = di::ref(image).contiguous(), m = di::ref(matrices).contiguous();
    TORCH_CHECK(!pyramid.empty() && bins > 0 && samples > 0, "there must be a level, a bin and a sample");
    int64_t channels = pyramid[0].size(1), boxes_n = b.size(0);
    auto type = pyramid[0].scalar_type();
    for (auto& l : pyramid) {
      TORCH_CHECK(l.is_cuda() && l.dim() == 4 && l.size(0) == pyramid[0].size(0) && l.size(1) == channels && l.scalar_type() == type && l.numel() > 0,
                  "levels must be (B,C,H,W) on a GPU, of one B, C and type");
      l = l.contiguous(at::MemoryFormat::ChannelsLast);
    }
    std::vector<at::Tensor> p;
    for (int i = 0; i < 4; i++) p.push_back(di::ref(norms[i]).contiguous());
    int64_t width = p[0].numel();
    TORCH_CHECK(di::gpu::computed(type) == at::kFloat && b.scalar_type() == at::kFloat && im.scalar_type() == at::kLong && m.scalar_type() == type,
                "levels and matrices must be of one type, float32, float16 or bfloat16, boxes float32 and image int64");
    TORCH_CHECK(b.dim() == 2 && b.size(1) == 4 && im.numel() == boxes_n && m.dim() == 2 && m.size(0) == boxes_n && width > 0 &&
                    m.size(1) == 2 * channels * width && p[1].numel() == width && p[2].numel() == channels && p[3].numel() == channels,
                "boxes must be (R,4), image (R), matrices (R,2·d·w), and norms of w and d numbers");
    for (const auto& t : {b, im, m, pyramid[0], p[0], p[1], p[2], p[3]}) TORCH_CHECK(t.device() == b.device(), "all tensors must be on one GPU");
    for (const auto& t : p) TORCH_CHECK(t.scalar_type() == type, "norms must be of the levels' type");
    TORCH_CHECK(!di::needs_gradient({pyramid[0], m}), "there are no gradients");
    di::counted_flop += 4 * boxes_n * bins * bins * channels * width;
    auto out = di::empty({boxes_n, bins * bins, channels}, m.options());
    int64_t tile = tile_of(bins * bins, channels, width);
    di::gpu::run({"dynamic_conv.cu", "dynamic_conv",
                  {di::gpu::scalar_of(m), di::gpu::stored("STORED", type), di::gpu::define("CHANNELS", channels), di::gpu::define("WIDTH", width), di::gpu::define("TILE", tile)}},
                 m, {boxes_n, (bins * bins + tile - 1) / tile}, 256, di::gpu::levels_of(pyramid, scales), b.data_ptr(), im.data_ptr(), m.data_ptr(),
                 p[0].data_ptr(), p[1].data_ptr(), p[2].data_ptr(), p[3].data_ptr(), out.data_ptr(), static_cast<int>(bins), static_cast<int>(samples), eps);
    return out;
  });
}
