// The processor's own rate of multiply-adds in float32, which doctor compares products with.
#include <ctime>

#include <algorithm>

#include "kernels.h"
#include "lanes.h"

namespace {

// chains runs independent sums, of one vector each, long enough for every unit to be busy.
template <typename V, int N>
DI_INLINE float chains(int64_t rounds) {
  V sum[N], x = V{} + 0.999f, y = V{} + 1e-3f;
  for (int i = 0; i < N; i++) sum[i] = V{} + static_cast<float>(i);
  for (int64_t r = 0; r < rounds; r++) {
    for (int i = 0; i < N; i++) sum[i] = sum[i] * x + y;
  }
  V all{};
  for (int i = 0; i < N; i++) all += sum[i];
  return all[0];
}

constexpr int kChains = 12;  // with x and y, what 16 registers hold
template <int bytes>
struct Vector {
  typedef float V __attribute__((vector_size(bytes)));
  static constexpr int64_t flop = 2 * kChains * bytes / sizeof(float);  // of a round
};

using Run = float (*)(int64_t);

float narrow(int64_t rounds) { return chains<Vector<16>::V, kChains>(rounds); }

#if defined(__x86_64__) && defined(__GNUC__)
__attribute__((target("avx2,fma"))) float avx2(int64_t rounds) { return chains<Vector<32>::V, kChains>(rounds); }
__attribute__((target("avx512f"))) float avx512(int64_t rounds) { return chains<Vector<64>::V, kChains>(rounds); }
#endif

double seconds() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

// rate returns the best of several short runs: other programs disturb some of them.
double rate(Run run, int64_t flop) {
  constexpr int64_t kRounds = 1 << 17;
  double best = 0;
  volatile float sink = 0;
  for (int i = 0; i < 12; i++) {
    double start = seconds();
    sink = sink + run(kRounds);
    best = std::max(best, static_cast<double>(kRounds * flop) / std::max(seconds() - start, 1e-9));
  }
  return best;
}

}  // namespace

double di_peak_rate() noexcept {
  double best = 0;
#if defined(__x86_64__) && defined(__GNUC__)
  if (__builtin_cpu_supports("avx512f")) best = std::max(best, rate(avx512, Vector<64>::flop));
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) best = std::max(best, rate(avx2, Vector<32>::flop));
#endif
  return std::max(best, rate(narrow, Vector<16>::flop));
}
