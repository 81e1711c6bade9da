// attention.cu against the formula in double precision, for numbers of keys around the sizes of a tile and of warps, and for
// numbers of few bits.
#include "check.h"

#define SCALAR float
namespace plain {
#define STORED float
#define SIZE 8
#include KERNEL
#undef STORED
#undef SIZE
}
namespace low {
#define attention attention_low  // it is a function of C: its name is of the whole program
#define STORED BFloat16
#define SIZE 12
#include KERNEL
#undef attention
}

// worst returns the largest difference from softmax(q·kᵀ/√size)·v.
template <typename X, typename Y>
double worst(X qkv, Y out, int pictures, int n, int heads, int size) {
  double off = 0;
  int d = heads * size;
  for (int p = 0; p < pictures; p++) {
    for (int h = 0; h < heads; h++) {
      for (int q = 0; q < n; q++) {
        auto at = [&](int row, int part, int i) { return double(qkv((p * n + row) * 3 * d + part * d + h * size + i)); };
        std::vector<double> score(n), want(size);
        double most = -INFINITY, total = 0;
        for (int k = 0; k < n; k++) {
          for (int i = 0; i < size; i++) score[k] += at(q, 0, i) * at(k, 1, i) / std::sqrt(size);
          most = std::max(most, score[k]);
        }
        for (double& s : score) total += s = std::exp(s - most);
        for (int i = 0; i < size; i++) {
          for (int k = 0; k < n; k++) want[i] += score[k] / total * at(k, 2, i);
          off = greater(off, std::fabs(out((p * n + q) * d + h * size + i) - want[i]));
        }
      }
    }
  }
  return off;
}

int main() {
  std::mt19937 g(1);
  for (int n : {1, 3, 32, 33, 70}) {
    const int pictures = 2, heads = 3, d = heads * 8;
    auto qkv = normals<float>(g, pictures * n * 3 * d);
    for (auto& v : qkv) v *= 3;
    std::vector<float> out(pictures * n * d);
    in_both_orders([&] {
      std::fill(out.begin(), out.end(), NAN);
      host::launch((n + 31) / 32, pictures * heads, 128, [&] { plain::attention(qkv.data(), out.data(), n, heads); });
      return out;
    });
    expect("attention", worst([&](int i) { return qkv[i]; }, [&](int i) { return out[i]; }, pictures, n, heads, 8), 5e-5);
    qkv[d + 1] = NAN;  // a key of the first picture and head
    host::launch((n + 31) / 32, pictures * heads, 128, [&] { plain::attention(qkv.data(), out.data(), n, heads); });
    for (int i = 0; i < pictures * n * d; i++) {
      if (std::isnan(out[i]) != (i < n * d && i % d < 8)) std::fprintf(stderr, "what is not a number is lost\n"), std::exit(1);
    }
  }
  const int n = 40, d = 2 * 12;
  std::vector<low::BFloat16> qkv(n * 3 * d), out(n * d);
  auto values = normals<float>(g, qkv.size());
  for (size_t i = 0; i < qkv.size(); i++) low::put(&qkv[i], values[i]);
  host::launch((n + 31) / 32, 2, 128, [&] { low::attention_low(qkv.data(), out.data(), n, 2); });
  expect("bfloat16", worst([&](int i) { return low::number(qkv[i]); }, [&](int i) { return low::number(out[i]); }, 1, n, 2, 12), 1e-2);
}
