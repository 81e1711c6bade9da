// Products of rows with a panel of 32 columns: the kernel of winograd.hpp.
#pragma once
#include "lanes.h"

namespace di {

constexpr int64_t kColumns = 32;  // of a panel
constexpr int64_t kTerms = 16;    // of a row that lie next to each other

template <int bytes>
using Simd = Lanes<float, bytes>;

// c = a·b: rows of a, whose 16·blocks terms lie in blocks of 16 that are apart elements apart; the next row is 16 elements
// on. The rows of b and of c are 32 elements apart.
struct Panel {
  const float *a, *b;
  float* c;
  int64_t apart, rows, blocks;
};

// strip computes R rows of N vectors.
template <int bytes, int R, int N>
DI_INLINE void strip(const Panel& p, int64_t row, int64_t column) {
  using S = Simd<bytes>;
  using V = typename S::V;
  const float *a = p.a + row * kTerms, *b = p.b + column;
  float* c = p.c + row * kColumns + column;
  V sum[R][N];
#pragma GCC unroll 16
  for (int r = 0; r < R; r++) {
#pragma GCC unroll 16
    for (int j = 0; j < N; j++) sum[r][j] = V{};
  }
  for (int64_t block = 0; block < p.blocks; block++, a += p.apart) {
#pragma GCC unroll 1
    for (int64_t i = 0; i < kTerms; i++, b += kColumns) {
      V right[N];
      for (int j = 0; j < N; j++) right[j] = S::load(b + j * S::count);
      if constexpr (bytes == 32) __builtin_prefetch(b + p.blocks * kTerms * kColumns, 0, 2);  // of the next panel
      for (int r = 0; r < R; r++) {
        float left = a[r * kTerms + i];
        for (int j = 0; j < N; j++) sum[r][j] += left * right[j];
      }
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; r++) {
#pragma GCC unroll 16
    for (int j = 0; j < N; j++) S::store(c + r * kColumns + j * S::count, sum[r][j]);
  }
}

template <int bytes, int R, int N>
DI_INLINE void strips(const Panel& p, int64_t row, int64_t rows, int64_t column) {
  if (rows == R) {
    strip<bytes, R, N>(p, row, column);
  } else if constexpr (R > 1) {
    strips<bytes, R - 1, N>(p, row, rows, column);
  }
}

// multiply divides the rows evenly: as many accumulators as there are registers, and few if there are few rows.
template <int bytes>
DI_INLINE void multiply(const Panel& p) {
  constexpr int R = bytes == 64 ? 14 : 6, N = 2;
  int64_t parts = (p.rows + R - 1) / R;
  for (int64_t j = 0; j < kColumns; j += N * Simd<bytes>::count) {  // these columns of b stay in the L1 cache
    for (int64_t part = 0; part < parts; part++) {
      int64_t from = p.rows * part / parts, to = p.rows * (part + 1) / parts;
      strips<bytes, R, N>(p, from, to - from, j);
    }
  }
}

}  // namespace di
