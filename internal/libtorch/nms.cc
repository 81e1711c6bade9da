// Greedy non-maximum suppression: a box is suppressed if its IoU with a better, kept box of
// its class exceeds the threshold.
#include <algorithm>
#include <numeric>
#include <vector>

#include "guard.h"
#include "kernels.h"

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
