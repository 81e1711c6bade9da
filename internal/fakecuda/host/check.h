// What the checks of kernels share. It is compiled once for all, and so comes first in each.
#pragma once
#include "cuda_host.h"

#include <random>

template <typename T>
std::vector<T> normals(std::mt19937& g, size_t n) {
  std::normal_distribution<T> d;
  std::vector<T> out(n);
  for (auto& v : out) v = d(g);
  return out;
}

// greater keeps NaN.
static double greater(double a, double b) { return b > a || b != b ? b : a; }

static void expect(const char* what, double worst, double limit) {
  std::printf("%s: %.2e\n", what, worst);
  if (!(worst < limit)) {
    std::fprintf(stderr, "%s is off by %.3g, more than %.3g\n", what, worst, limit);
    std::exit(1);
  }
}

// in_both_orders runs f twice, with the threads of each block in either order.
template <typename F>
void in_both_orders(F f) {
  auto first = f();
  host::descending = true;
  if (f() != first) {
    std::fprintf(stderr, "the result depends on the order of threads: a barrier is missing\n");
    std::exit(1);
  }
  host::descending = false;
}
