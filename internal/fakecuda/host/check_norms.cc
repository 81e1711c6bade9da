// norms.cu against the same in double precision, for types and what is around a norm.
#include "check.h"

#define SCALAR float
namespace plain {
#define X float
#define WEIGHT float
#define OUT float
#define SECOND BFloat16
#define SIZE 70
#define RELU 0
#define INNER 0
#include KERNEL
#undef X
#undef WEIGHT
#undef OUT
#undef RELU
#undef INNER
}
namespace nested {
#define layer_norm layer_norm_nested  // it is a function of C: its name is of the whole program
#define X BFloat16
#define WEIGHT float
#define OUT float
#define RELU 0
#define INNER 1
#include KERNEL
#undef X
#undef WEIGHT
#undef OUT
#undef RELU
#undef INNER
#undef layer_norm
}
namespace low {
#define layer_norm layer_norm_low
#define X BFloat16
#define WEIGHT BFloat16
#define OUT BFloat16
#define RELU 1
#define INNER 0
#include KERNEL
#undef layer_norm
}

int main() {
  const int rows = 10, pictures = 2, kStep = 3 * SIZE;  // the modulation is a part of wider rows
  std::mt19937 g(1);
  auto x = normals<float>(g, rows * SIZE), add = normals<float>(g, rows * SIZE), weight = normals<float>(g, SIZE),
       bias = normals<float>(g, SIZE), modulation = normals<float>(g, pictures * kStep);
  for (auto& v : x) v = 30 + 5 * v;
  std::vector<float> out(x.size());
  std::vector<plain::BFloat16> second(x.size());
  auto want = [&](int row, int i, bool summed) {
    double mean = 0, squares = 0;
    auto v = [&](int k) { return double(x[row * SIZE + k]) + (summed ? add[row * SIZE + k] : 0); };
    for (int k = 0; k < SIZE; k++) mean += v(k) / SIZE;
    for (int k = 0; k < SIZE; k++) squares += (v(k) - mean) * (v(k) - mean) / SIZE;
    return (v(i) - mean) / std::sqrt(squares + 1e-5) * weight[i] + bias[i];
  };
  in_both_orders([&] {
    std::fill(out.begin(), out.end(), NAN);
    host::launch((rows + 3) / 4, 1, 128, [&] {
      plain::layer_norm(x.data(), nullptr, nullptr, add.data(), weight.data(), bias.data(), modulation.data(), kStep, out.data(), second.data(), rows, rows / pictures, 1e-5);
    });
    return out;
  });
  double worst = 0, modulated = 0, rectified = 0;
  for (int r = 0; r < rows; r++) {
    for (int i = 0; i < SIZE; i++) {
      double y = want(r, i, true);
      const float* m = &modulation[r / (rows / pictures) * kStep];
      worst = greater(worst, std::fabs(out[r * SIZE + i] - y));
      double z = y * (1 + m[i]) + m[SIZE + i];
      modulated = greater(modulated, std::fabs(plain::number(second[r * SIZE + i]) - z) / (1 + std::fabs(z)));
    }
  }
  expect("norms", worst, 1e-4);
  expect("modulated norms", modulated, 5e-3);

  std::vector<low::BFloat16> lx(x.size()), lw(SIZE), lb(SIZE), lout(x.size());
  auto lower = [](std::vector<float>& from, std::vector<low::BFloat16>& to) {
    for (size_t i = 0; i < to.size(); i++) low::put(&to[i], from[i]), from[i] = low::number(to[i]);
  };
  lower(x, lx), lower(weight, lw), lower(bias, lb);
  lx[0].bits = 0x7fc0;  // not a number
  host::launch((rows + 3) / 4, 1, 128, [&] {
    low::layer_norm_low(lx.data(), nullptr, nullptr, nullptr, lw.data(), lb.data(), nullptr, 0, lout.data(), static_cast<low::BFloat16*>(nullptr), rows, 1, 1e-5);
  });
  for (int i = 0; i < SIZE; i++) {
    if (!std::isnan(low::number(lout[i]))) std::fprintf(stderr, "what is not a number is lost\n"), std::exit(1);
  }
  for (int k = SIZE; k < rows * SIZE; k++) {
    double y = std::max(want(k / SIZE, k % SIZE, false), 0.0);
    rectified = greater(rectified, std::fabs(low::number(lout[k]) - y) / (1 + y));
  }
  expect("rectified norms", rectified, 5e-3);

  // norm(add + relu(norm(x)))
  auto weight2 = normals<float>(g, SIZE), bias2 = normals<float>(g, SIZE);
  std::vector<nested::BFloat16> nx(x.size());
  for (size_t i = 0; i < x.size(); i++) nested::put(&nx[i], x[i]);
  in_both_orders([&] {
    host::launch((rows + 3) / 4, 1, 128, [&] {
      nested::layer_norm_nested(nx.data(), weight2.data(), bias2.data(), add.data(), weight.data(), bias.data(), nullptr, 0, out.data(),
                                static_cast<nested::BFloat16*>(nullptr), rows, 1, 1e-5);
    });
    return out;
  });
  auto normed = [](std::vector<double> v, const std::vector<float>& w, const std::vector<float>& b) {
    double mean = 0, squares = 0;
    for (double e : v) mean += e / v.size();
    for (double e : v) squares += (e - mean) * (e - mean) / v.size();
    for (size_t i = 0; i < v.size(); i++) v[i] = (v[i] - mean) / std::sqrt(squares + 1e-5) * w[i] + b[i];
    return v;
  };
  double inner = 0;
  for (int r = 0; r < rows; r++) {
    std::vector<double> v(SIZE);
    for (int i = 0; i < SIZE; i++) v[i] = nested::number(nx[r * SIZE + i]);
    v = normed(v, weight2, bias2);
    for (int i = 0; i < SIZE; i++) v[i] = std::max(v[i], 0.0) + add[r * SIZE + i];
    v = normed(v, weight, bias);
    for (int i = 0; i < SIZE; i++) inner = greater(inner, std::fabs(out[r * SIZE + i] - v[i]));
  }
  expect("norms of norms", inner, 1e-4);
}
