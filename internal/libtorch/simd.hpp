// The width of the vectors that kernels use.
#include <algorithm>
#include <atomic>

#include "kernels.h"
#include "lanes.h"

namespace {

int widest() {
#if defined(__x86_64__) && defined(__GNUC__)
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return 16;
  for (bool has : {__builtin_cpu_supports("avx512f") != 0, __builtin_cpu_supports("avx512dq") != 0,
                   __builtin_cpu_supports("avx512bw") != 0, __builtin_cpu_supports("avx512vl") != 0}) {
    if (!has) return 32;
  }
  return 64;
#else
  return 16;
#endif
}

const int kWidest = widest();
std::atomic<int> width{kWidest};

}  // namespace

int di::simd() noexcept { return width.load(std::memory_order_relaxed); }

int di_simd(int most) noexcept {
  width = std::clamp(most, 16, kWidest);
  return width;
}
