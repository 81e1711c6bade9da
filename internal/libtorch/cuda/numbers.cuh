// Types of tensors in GPU kernels, put in front of every source. Kernels compute in SCALAR, which is float or
// double; Half and BFloat16 are only stored. Conversions are written out because NVRTC may find no headers.

struct Half {
  unsigned short bits;
};

struct BFloat16 {
  unsigned short bits;
};

// number returns what a stored value is.
__device__ inline float number(float x) { return x; }
__device__ inline double number(double x) { return x; }
__device__ inline float number(unsigned char x) { return x; }
__device__ inline float number(BFloat16 x) { return __uint_as_float(static_cast<unsigned>(x.bits) << 16); }
__device__ inline float number(Half x) {
  unsigned u = (x.bits & 0x7fffu) << 13, sign = (x.bits & 0x8000u) << 16;
  float scaled = __uint_as_float(u) * __uint_as_float(0x77800000u);  // 2¹¹², the difference of the exponents
  return __uint_as_float((u >= 0x0f800000u ? u | 0x7f800000u : __float_as_uint(scaled)) | sign);
}

// put stores a value, rounded to nearest even.
__device__ inline void put(float* to, float v) { *to = v; }
__device__ inline void put(double* to, double v) { *to = v; }
__device__ inline void put(BFloat16* to, float v) {
  unsigned u = __float_as_uint(v), nan = u >> 16 | 0x40u;
  to->bits = static_cast<unsigned short>((u & 0x7fffffffu) > 0x7f800000u ? nan : (u + 0x7fffu + (u >> 16 & 1u)) >> 16);
}
__device__ inline void put(Half* to, float v) {
  unsigned u = __float_as_uint(v), sign = u >> 16 & 0x8000u, h;
  u &= 0x7fffffffu;
  if (u > 0x7f800000u) {
    h = 0x7e00u;
  } else if (u >= 0x477ff000u) {  // from 65520 on
    h = 0x7c00u;
  } else if (u < 0x38800000u) {  // below 2⁻¹⁴, where adding ½ rounds to multiples of 2⁻²⁴
    h = __float_as_uint(__uint_as_float(u) + 0.5f) - 0x3f000000u;
  } else {
    h = (u + 0xc8000fffu + (u >> 13 & 1u)) >> 13;
  }
  to->bits = static_cast<unsigned short>(h | sign);
}
