// numbers.cuh: every half and bfloat16 is read and written back; numbers between two are rounded to the nearest,
// of two as near to the even one.
#include "check.h"

#include KERNEL

template <typename S>
void both(const char* name, int most, double largest) {
  for (unsigned bits = 0; bits < 65536; bits++) {
    S s{static_cast<unsigned short>(bits)}, back;
    float v = number(s);
    put(&back, v);
    bool nan = (bits & 0x7fff) > static_cast<unsigned>(most);
    if (nan ? !(v != v) || (back.bits & 0x7fff) <= most : back.bits != bits) {
      std::fprintf(stderr, "%s %04x is read as %g and written as %04x\n", name, bits, v, back.bits);
      std::exit(1);
    }
    if (nan || (bits & 0x7fff) >= static_cast<unsigned>(most) - 1) continue;
    S next{static_cast<unsigned short>(bits + 1)};
    double a = v, b = number(next);
    for (double share : {0.01, 0.49, 0.5, 0.51, 0.99}) {
      float between = a + share * (b - a);
      double at = (between - a) / (b - a);
      unsigned want = at < 0.5 || (at == 0.5 && bits % 2 == 0) ? bits : bits + 1;
      put(&back, between);
      if (back.bits != want) {
        std::fprintf(stderr, "%s is not the nearest: %g is written as %04x, want %04x\n", name, between, back.bits, want);
        std::exit(1);
      }
    }
  }
  S s;
  put(&s, static_cast<float>(largest));
  if (s.bits != most - 1) std::fprintf(stderr, "%s: the largest number is %04x\n", name, s.bits), std::exit(1);
  put(&s, static_cast<float>(largest * 1.01));
  if (s.bits != most) std::fprintf(stderr, "%s does not overflow to infinity: %04x\n", name, s.bits), std::exit(1);
}

int main() {
  both<Half>("float16", 0x7c00, 65504);
  both<BFloat16>("bfloat16", 0x7f80, 3.3895313892515355e38);
}
