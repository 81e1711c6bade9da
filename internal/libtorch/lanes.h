// 64-byte SIMD vectors for fused kernels. DI_CLONES compiles a function for AVX-512, AVX2 and
// baseline x86-64, and the processor's own version is chosen when the program starts; functions
// that it calls must be DI_INLINE to be compiled with it. DI_NARROW_CLONES leaves AVX-512 out, where
// speed does not matter: a clone takes seconds to compile.
#pragma once
#include <c10/core/ScalarType.h>

#include <cmath>
#include <cstdint>
#include <cstring>

#define DI_INLINE inline __attribute__((always_inline))
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12
#define DI_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#define DI_NARROW_CLONES __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define DI_CLONES
#define DI_NARROW_CLONES
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

template <typename T>
struct Lanes {
  static constexpr int64_t count = 64 / sizeof(T);
  typedef T V __attribute__((vector_size(64)));
};

template <typename T>
DI_INLINE typename Lanes<T>::V load(const T* from) {
  typename Lanes<T>::V v;
  std::memcpy(&v, from, sizeof v);
  return v;
}

template <typename T>
DI_INLINE void store(T* to, const typename Lanes<T>::V& v) {
  std::memcpy(to, &v, sizeof v);
}

template <typename T>
DI_INLINE T total(const typename Lanes<T>::V& v) {
  T half[Lanes<T>::count];
  std::memcpy(half, &v, sizeof v);
  for (int64_t n = Lanes<T>::count / 2; n > 0; n /= 2) {
    for (int64_t i = 0; i < n; i++) half[i] += half[i + n];
  }
  return half[0];
}

// exp is accurate to a few ulp for |x| ≤ 87: 2ⁿ·P(r) with r = x − n·ln 2.
DI_INLINE Lanes<float>::V exp(const Lanes<float>::V& x) {
  typedef int32_t I __attribute__((vector_size(64)));
  constexpr float magic = 12582912;  // 1.5·2²³: adding it rounds to an integer
  Lanes<float>::V n = (x * 1.44269504f + magic) - magic;
  Lanes<float>::V r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  auto p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  I power = (__builtin_convertvector(n, I) + 127) << 23;
  Lanes<float>::V scale;
  std::memcpy(&scale, &power, sizeof scale);
  return p * scale;
}

DI_INLINE Lanes<double>::V exp(const Lanes<double>::V& x) {
  Lanes<double>::V y;
  for (int64_t i = 0; i < Lanes<double>::count; i++) y[i] = std::exp(x[i]);
  return y;
}

// sigmoid propagates NaN.
template <typename T>
DI_INLINE typename Lanes<T>::V sigmoid(const typename Lanes<T>::V& z) {
  using V = typename Lanes<T>::V;
  const V limit = V{} + T(80);
  V x = z > limit ? limit : z;
  x = x < -limit ? -limit : x;
  return T(1) / (T(1) + exp(-x));
}

}  // namespace di
