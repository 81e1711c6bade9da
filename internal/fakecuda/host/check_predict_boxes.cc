// predict_boxes.cu against the formulas in double precision: with three layers in float32, with matrices in float16, and without layers.
#include "check.h"

#define SCALAR float
namespace plain {
#define X float
#define WEIGHT float
#define SIZE 70
#include KERNEL
#undef X
#undef WEIGHT
}
namespace low {
#define predict_boxes predict_boxes_low  // it is a function of C: its name is of the whole program
#define X Half
#define WEIGHT Half
#include KERNEL
#undef predict_boxes
}

const int N = 30, kLayers = 3;  // rows are not a multiple of a block's
const double kGrowth = std::log(100000.0 / 16);

// layer replaces a row by relu(norm(row·matrix)).
static void layer(std::vector<double>& x, const float* matrix, const float* norm) {
  std::vector<double> y(SIZE);
  double mean = 0, squares = 0;
  for (int c = 0; c < SIZE; c++) {
    for (int k = 0; k < SIZE; k++) y[c] += x[k] * matrix[k * SIZE + c];
    mean += y[c] / SIZE;
  }
  for (double v : y) squares += (v - mean) * (v - mean) / SIZE;
  for (int c = 0; c < SIZE; c++) x[c] = std::max((y[c] - mean) / std::sqrt(squares + 1e-5) * norm[c] + norm[SIZE + c], 0.0);
}

int main() {
  std::mt19937 g(1);
  auto x = normals<float>(g, N * SIZE), matrices = normals<float>(g, kLayers * SIZE * SIZE), norms = normals<float>(g, kLayers * 2 * SIZE),
       delta = normals<float>(g, 4 * SIZE), bias = normals<float>(g, 4), boxes = normals<float>(g, 4 * N);
  for (auto& v : delta) v *= 0.2f;
  for (int i = 0; i < N; i++) {
    for (int a = 0; a < 2; a++) {
      boxes[4 * i + a] = 200 + 100 * boxes[4 * i + a];
      boxes[4 * i + 2 + a] = boxes[4 * i + a] + 10 * std::exp(1.5f * boxes[4 * i + 2 + a]);
    }
  }
  std::vector<float> out(4 * N), features(N * SIZE);
  auto compare = [&](const char* what, int layers, double limit) {
    double moved = 0, made = 0;
    for (int i = 0; i < N; i++) {
      std::vector<double> v(x.begin() + i * SIZE, x.begin() + (i + 1) * SIZE);
      for (int l = 0; l < layers; l++) layer(v, &matrices[l * SIZE * SIZE], &norms[2 * l * SIZE]);
      for (int c = 0; c < SIZE; c++) made = greater(made, std::fabs(features[i * SIZE + c] - v[c]));
      for (int a = 0; a < 2; a++) {
        double d[2];
        for (int k = 0; k < 2; k++) {
          d[k] = bias[a + 2 * k];
          for (int c = 0; c < SIZE; c++) d[k] += v[c] * delta[(a + 2 * k) * SIZE + c];
        }
        const float *b = &boxes[4 * i + a], *o = &out[4 * i + a];
        double size = double(b[2]) - b[0], centre = b[0] + size / 2 + d[0] / 2 * size, half = std::exp(std::min(d[1], kGrowth)) * size / 2;
        moved = greater(moved, std::fabs(o[0] - (centre - half)) / (1 + std::fabs(centre) + half));
        moved = greater(moved, std::fabs(o[2] - (centre + half)) / (1 + std::fabs(centre) + half));
      }
    }
    expect(what, made, limit);
    expect("boxes", moved, limit);
  };
  auto run = [&](int layers, float* keep) {
    std::fill(out.begin(), out.end(), NAN);
    host::launch((N + 3) / 4, 1, 256, [&] {
      plain::predict_boxes(x.data(), matrices.data(), norms.data(), layers, delta.data(), bias.data(), boxes.data(), out.data(), keep, N, 1e-5, 2, kGrowth);
    });
    return out;
  };
  in_both_orders([&] { return run(kLayers, features.data()); });
  compare("three layers", kLayers, 1e-4);
  auto kept = out;
  if (run(kLayers, nullptr) != kept) std::fprintf(stderr, "boxes depend on whether features are kept\n"), std::exit(1);
  run(0, features.data());
  compare("no layer", 0, 1e-5);

  delta[2 * SIZE] = 1e6f, x[0] = 1, delta[0] = NAN;
  run(0, nullptr);
  float grown = (out[3 * 0 + 3] - out[1]);
  if (!std::isnan(out[0]) || !std::isnan(out[2]) || std::isnan(grown)) std::fprintf(stderr, "a delta that is not a number is lost\n"), std::exit(1);
  delta[0] = 0;
  run(0, nullptr);
  expect("growth", std::fabs((out[2] - out[0]) / (boxes[2] - boxes[0]) / std::exp(kGrowth) - 1), 1e-4);
  delta[2 * SIZE] = 0;

  std::vector<low::Half> hx(x.size()), hm(matrices.size());
  for (size_t i = 0; i < x.size(); i++) low::put(&hx[i], x[i]), x[i] = low::number(hx[i]);
  for (size_t i = 0; i < hm.size(); i++) low::put(&hm[i], matrices[i]), matrices[i] = low::number(hm[i]);
  host::launch((N + 3) / 4, 1, 256, [&] {
    low::predict_boxes_low(hx.data(), hm.data(), norms.data(), kLayers, delta.data(), bias.data(), boxes.data(), out.data(), features.data(), N, 1e-5, 2, kGrowth);
  });
  compare("float16", kLayers, 1e-4);
}
