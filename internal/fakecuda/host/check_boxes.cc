// boxes.cu against the formulas in double precision.
#include "check.h"

#define SCALAR float
#include KERNEL

int main() {
  const int N = 300;
  std::mt19937 g(1);
  auto boxes = normals<float>(g, 4 * N), deltas = normals<float>(g, 4 * N);
  for (int i = 0; i < N; i++) {
    for (int a = 0; a < 2; a++) {
      boxes[4 * i + a] = 200 + 100 * boxes[4 * i + a];
      boxes[4 * i + 2 + a] = boxes[4 * i + a] + 10 * std::exp(1.5f * boxes[4 * i + 2 + a]);
    }
  }
  deltas[2] = 50, deltas[6] = NAN;
  std::vector<float> out(4 * N);
  host::launch((N + 127) / 128, 1, 128, [&] { apply_deltas(boxes.data(), deltas.data(), nullptr, out.data(), N, 2, std::log(100000.0 / 16)); });
  double worst = 0;
  for (int i = 0; i < N; i++) {
    for (int a = 0; a < 2; a++) {
      const float *b = &boxes[4 * i + a], *d = &deltas[4 * i + a], *o = &out[4 * i + a];
      if (std::isnan(d[2])) {
        if (!std::isnan(o[0]) || !std::isnan(o[2])) std::fprintf(stderr, "a delta that is not a number is lost\n"), std::exit(1);
        continue;
      }
      double size = double(b[2]) - b[0], centre = b[0] + size / 2 + d[0] / 2.0 * size;
      double half = std::exp(std::min(double(d[2]), std::log(100000.0 / 16))) * size / 2;
      worst = greater(worst, std::fabs(o[0] - (centre - half)) / (1 + std::fabs(centre) + half));
      worst = greater(worst, std::fabs(o[2] - (centre + half)) / (1 + std::fabs(centre) + half));
    }
  }
  expect("moved boxes", worst, 1e-6);

  auto grad = normals<float>(g, 4 * N);
  std::vector<float> slopes(4 * N);
  host::launch((N + 127) / 128, 1, 128, [&] { apply_deltas_backward(boxes.data(), deltas.data(), grad.data(), slopes.data(), N, 2, std::log(100000.0 / 16)); });
  worst = 0;
  for (int i = 0; i < N; i++) {
    for (int a = 0; a < 2; a++) {
      const float *b = &boxes[4 * i + a], *d = &deltas[4 * i + a], *up = &grad[4 * i + a], *got = &slopes[4 * i + a];
      double size = double(b[2]) - b[0], grow = d[2] <= std::log(100000.0 / 16) ? (double(up[2]) - up[0]) * std::exp(double(d[2])) * size / 2 : 0;
      worst = greater(worst, std::fabs(got[0] - (double(up[0]) + up[2]) * size / 2) / (1 + size));
      worst = greater(worst, std::fabs(got[2] - grow) / (1 + std::fabs(grow) + size));
    }
  }
  expect("gradients of deltas", worst, 1e-6);
}
