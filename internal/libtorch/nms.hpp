// Greedy non-maximum suppression: a box is suppressed if its IoU with a better, kept box of
// its class exceeds the threshold. cuda/nms.cu has the kernels for candidates on a GPU.
#include <algorithm>
#include <numeric>
#include <vector>

#include "gpu.h"
#include "guard.h"
#include "kernels.h"
#include "shim.h"

di_error* di_nms(const float* boxes, const float* scores, const int64_t* classes, size_t n, double threshold,
                 int64_t* keep, size_t* kept) noexcept {
  return di::guard([&] {
    std::vector<int64_t> order(n);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return scores[a] > scores[b]; });
    std::vector<float> area(n);
    for (size_t i = 0; i < n; i++) {
      const float* b = boxes + 4 * i;
      area[i] = (b[2] - b[0]) * (b[3] - b[1]);
    }
    std::vector<char> gone(n, 0);
    *kept = 0;
    for (size_t a = 0; a < n; a++) {
      int64_t i = order[a];
      if (gone[i]) continue;
      keep[(*kept)++] = i;
      const float* p = boxes + 4 * i;
      for (size_t b = a + 1; b < n; b++) {
        int64_t j = order[b];
        if (gone[j] || (classes != nullptr && classes[i] != classes[j])) continue;
        const float* q = boxes + 4 * j;
        float w = std::max(0.0f, std::min(p[2], q[2]) - std::max(p[0], q[0]));
        float h = std::max(0.0f, std::min(p[3], q[3]) - std::max(p[1], q[1]));
        float both = w * h;
        if (both / (area[i] + area[j] - both) > threshold) gone[j] = 1;
      }
    }
  });
}

di_result1 di_nms_rows(di_tensor rows, const di_nms_options* options) noexcept {
  return di::call1([&] {
    auto r = di::ref(rows).contiguous();
    TORCH_CHECK(r.is_cuda() && r.scalar_type() == at::kFloat && r.dim() == 4 && r.size(3) >= 7, "rows must be (E,B,N,7 or more) of float32 on a GPU");
    int64_t evaluations = r.size(0), views = r.size(1), n = r.size(2), total = evaluations * n;
    TORCH_CHECK(total <= DI_NMS_MOST && views <= 65535, total, " candidates of ", views, " views: at most ", DI_NMS_MOST, " of 65535");
    auto bytes = [&](int64_t n) { return di::empty({n}, r.options().dtype(at::kByte)); };
    int64_t words = (total + 63) / 64;
    auto count = di::zeros({views}, r.options().dtype(at::kInt)), out = di::empty({views, total + 1}, r.options().dtype(at::kInt));
    if (total == 0 || views == 0) return out.zero_();
    auto sorted = bytes(views * total * 28), matrix = bytes(views * total * words * 8);
    std::vector<std::string> definitions{di::gpu::define("MOST", DI_NMS_MOST)};
    auto of = static_cast<int>(total);
    constexpr int kThreads = 128;
    auto blocks = [&](int64_t threads) { return std::min<int64_t>((threads + kThreads - 1) / kThreads, 4096); };
    di::gpu::run({"nms.cu", "ranked", definitions}, r, {blocks(total), views}, kThreads, r.data_ptr(), static_cast<long long>(r.size(3)),
                 static_cast<int>(evaluations), static_cast<int>(n), options->least, static_cast<int>(options->apart), sorted.data_ptr(), count.data_ptr());
    di::gpu::run({"nms.cu", "overlaps", definitions}, r, {blocks(total * words), views}, kThreads, sorted.data_ptr(), count.data_ptr(), of,
                 options->threshold, matrix.data_ptr());
    di::gpu::run({"nms.cu", "kept", definitions}, r, {views}, kThreads, sorted.data_ptr(), count.data_ptr(), of, matrix.data_ptr(),
                 out.data_ptr());
    return out;
  });
}
