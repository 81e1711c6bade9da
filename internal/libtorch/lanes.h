// SIMD vectors for fused kernels, of the width that the processor has: widest calls a function compiled for
// AVX-512 with 64 bytes, for AVX2 with 32, or for baseline x86-64 and other processors with 16. GCC lowers wider
// vectors than the target's through memory, which takes ten times as long. What such a function calls must be
// DI_INLINE to be compiled with it.
//
// DI_CLONES does the same for plain loops, whose width the compiler chooses. DI_NARROW_CLONES leaves AVX-512 out, where
// speed does not matter: a clone takes seconds to compile.
#pragma once
#include <c10/core/ScalarType.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#define DI_INLINE inline __attribute__((always_inline))
#define DI_INLINED __attribute__((always_inline))  // of a lambda
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12
#define DI_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#define DI_NARROW_CLONES __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define DI_CLONES
#define DI_NARROW_CLONES
#endif
#if defined(__x86_64__) && defined(__GNUC__)
#define DI_AVX512 __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,fma")))
#define DI_AVX2 __attribute__((target("avx2,fma")))
#else
#define DI_AVX512
#define DI_AVX2
#endif
#pragma GCC diagnostic ignored "-Wpsabi"  // vectors are only passed to inlined functions

namespace di {

// BFloat16 is the upper half of a float32, rounded to nearest even, written so that compilers
// vectorise the conversions.
struct BFloat16 {
  uint16_t bits = 0;

  BFloat16() = default;

  DI_INLINE explicit BFloat16(float x) {
    uint32_t u;
    std::memcpy(&u, &x, sizeof u);
    uint32_t rounded = (u + 0x7fff + (u >> 16 & 1)) >> 16, nan = (u >> 16) | 0x40;
    bits = static_cast<uint16_t>((u & 0x7fffffff) > 0x7f800000 ? nan : rounded);
  }

  DI_INLINE explicit operator float() const {
    uint32_t u = static_cast<uint32_t>(bits) << 16;
    float x;
    std::memcpy(&x, &u, sizeof x);
    return x;
  }
};

// dispatch calls f with a value of the storage type and one of the arithmetic type: bfloat16
// is computed in float32.
template <typename F>
void dispatch(at::ScalarType type, F&& f) {
  switch (type) {
    case at::kFloat: return f(float{}, float{});
    case at::kDouble: return f(double{}, double{});
    case at::kBFloat16: return f(BFloat16{}, float{});
    default: TORCH_CHECK(false, "no fused kernel for tensors of type ", type);
  }
}

// simd returns the bytes of the vectors that kernels use: the processor's, or fewer in tests; see simd.hpp.
int simd() noexcept;

template <int n>
using Bytes = std::integral_constant<int, n>;

template <typename F>
DI_AVX512 void in_avx512(const F& f) { f(Bytes<64>()); }

template <typename F>
DI_AVX2 void in_avx2(const F& f) { f(Bytes<32>()); }

// widest calls f, a DI_INLINED lambda, with the bytes of the vectors to use, as a type. Less compiled is what speed does not
// matter for, with most = 32: without AVX-512.
template <int most = 64, typename F>
DI_INLINE void widest(const F& f) {
  int bytes = simd();
  if constexpr (most == 64) {
    if (bytes == 64) return in_avx512(f);
  }
  bytes >= 32 ? in_avx2(f) : f(Bytes<16>());
}

// Lanes is the vector of so many bytes of numbers of type T.
template <typename T, int bytes>
struct Lanes {
  static constexpr int64_t count = bytes / sizeof(T);
  typedef T V __attribute__((vector_size(bytes)));

  static DI_INLINE V load(const T* from) {
    V v;
    std::memcpy(&v, from, sizeof v);
    return v;
  }

  static DI_INLINE void store(T* to, const V& v) { std::memcpy(to, &v, sizeof v); }

  static DI_INLINE T total(const V& v) {
    T half[count];
    std::memcpy(half, &v, sizeof v);
    for (int64_t n = count / 2; n > 0; n /= 2) {
      for (int64_t i = 0; i < n; i++) half[i] += half[i + n];
    }
    return half[0];
  }

  // lanes returns the numbered lanes of a and then b.
  template <int... number>
  static DI_INLINE V lanes(const V& a, const V& b, std::integer_sequence<int, number...>) {
#ifdef __clang__
    return __builtin_shufflevector(a, b, number...);
#else
    typedef std::conditional_t<sizeof(T) == 4, int32_t, int64_t> I __attribute__((vector_size(bytes)));
    return __builtin_shuffle(a, b, I{number...});
#endif
  }

  // pairs adds the upper halves of all groups of 2·half lanes of a to the lower ones, then the same of b: group by group.
  template <int half, int... i>
  static DI_INLINE V pairs(const V& a, const V& b, std::integer_sequence<int, i...>) {
    constexpr auto lane = [](int of, int add) { return of % (2 * half) < half ? of + add : static_cast<int>(count) + of - half + add; };
    return lanes(a, b, std::integer_sequence<int, lane(i, 0)...>()) + lanes(a, b, std::integer_sequence<int, lane(i, half)...>());
  }

  // totals returns the total of each of as many vectors as there are lanes, and overwrites them.
  template <int half = static_cast<int>(count) / 2>
  static DI_INLINE V totals(V (&v)[count]) {
    for (int i = 0; i < half; i++) v[i] = pairs<half>(v[i], v[i + half], std::make_integer_sequence<int, static_cast<int>(count)>());
    if constexpr (half > 1) {
      return totals<half / 2>(v);
    } else {
      return v[0];
    }
  }

  // exp of float32 is accurate to a few ulp for |x| ≤ 87: 2ⁿ·P(r) with r = x − n·ln 2.
  static DI_INLINE V exp(const V& x) {
    if constexpr (std::is_same_v<T, float>) {
      typedef int32_t I __attribute__((vector_size(bytes)));
      constexpr float magic = 12582912;  // 1.5·2²³: adding it rounds to an integer
      V n = (x * 1.44269504f + magic) - magic;
      V r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
      V p = r * 1.9875691500e-4f + 1.3981999507e-3f;
      p = p * r + 8.3334519073e-3f;
      p = p * r + 4.1665795894e-2f;
      p = p * r + 1.6666665459e-1f;
      p = p * r + 5.0000001201e-1f;
      p = p * r * r + r + 1.0f;
      I power = (__builtin_convertvector(n, I) + 127) << 23;
      V scale;
      std::memcpy(&scale, &power, sizeof scale);
      return p * scale;
    } else {
      V y;
      for (int64_t i = 0; i < count; i++) y[i] = std::exp(x[i]);
      return y;
    }
  }

  // sigmoid propagates NaN.
  static DI_INLINE V sigmoid(const V& z) {
    const V limit = V{} + T(80);
    V x = z > limit ? limit : z;
    x = x < -limit ? -limit : x;
    return T(1) / (T(1) + exp(-x));
  }
};

}  // namespace di
