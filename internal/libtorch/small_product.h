// The product of two matrices that fit into the processor's caches, on one thread; see small_bmm.hpp.
#pragma once
#include <cstdint>

namespace di {

// kPadding is what the rows of b are padded to a multiple of: the widest vector.
template <typename T>
constexpr int64_t kPadding = 64 / sizeof(T);

// c = a·b, m×n and k terms each. The rows of b are apart elements apart and padded;
// the rows of c are stride elements apart.
template <typename T>
struct SmallProduct {
  const T *a, *b;
  T* c;
  int64_t row, column, apart, stride, m, n, k;  // row and column are the strides of a
};

void multiply(const SmallProduct<float>& p);
void multiply(const SmallProduct<double>& p);

}  // namespace di
