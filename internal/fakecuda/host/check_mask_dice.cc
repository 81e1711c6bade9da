// mask_dice.cu against itself in central differences, in double precision, and its loss against a plain sum.
#include "check.h"

#define SCALAR double
#define CHANNELS 4
#define LAYERS 3
#define TILE 32
#define STORED double
namespace whole {
#define TRUTH unsigned char
#define mask_dice mask_dice_whole  // they are functions of C: names are of the whole program
#define mask_dice_backward mask_dice_backward_whole
#include KERNEL
#undef mask_dice
#undef mask_dice_backward
#undef TRUTH
}
namespace parts {
#define TRUTH SCALAR
#include KERNEL
#undef TRUTH
#undef SCALAR
#undef STORED
}
namespace low {
#define SCALAR float
#define STORED BFloat16
#define TRUTH BFloat16
#define mask_dice mask_dice_low
#define mask_dice_backward mask_dice_backward_low
#include KERNEL
#undef mask_dice
#undef mask_dice_backward
}

int main() {
  std::mt19937 g(1);
  const int B = 2, C = 4, P = 75, M = 3, G = 2;
  constexpr int K = whole::kParams;
  auto f = normals<double>(g, B * C * P), w = normals<double>(g, M * K);
  for (auto& v : w) v *= 0.5;
  std::vector<double> sums(2 * M), loss(M), grad{1, -2, 0.5}, df(B * C * P), dw(M * K), soft(G * P);
  std::vector<long long> image{0, 1, 1}, truth{0, 1, 0};
  std::vector<unsigned char> hard(G * P);
  for (int i = 0; i < G * P; i++) hard[i] = g() & 1, soft[i] = (g() % 1000) / 999.0;
  auto forward = [&] {
    host::launch(M, 1, 64, [&] { parts::mask_dice(f.data(), w.data(), image.data(), soft.data(), truth.data(), loss.data(), sums.data(), P); });
    return loss[0] * grad[0] + loss[1] * grad[1] + loss[2] * grad[2];
  };
  in_both_orders([&] {
    forward();
    std::fill(df.begin(), df.end(), 0.0);
    std::fill(dw.begin(), dw.end(), NAN);
    host::launch(M, 1, TILE, [&] {
      parts::mask_dice_backward(f.data(), w.data(), image.data(), soft.data(), truth.data(), sums.data(), grad.data(), df.data(), dw.data(), P);
    });
    return std::make_pair(loss, dw);
  });
  const double h = 1e-6;
  double worst = 0;
  auto slope = [&](double& at) {
    double was = at;
    at = was + h;
    double up = forward();
    at = was - h;
    double down = forward();
    at = was;
    return (up - down) / (2 * h);
  };
  for (int q = 0; q < M * K; q += 7) worst = greater(worst, std::fabs(slope(w[q]) - dw[q]));
  for (int q = 0; q < B * C * P; q += 53) worst = greater(worst, std::fabs(slope(f[q]) - df[q]));
  expect("gradients", worst, 1e-7);

  // Features and truths of bfloat16 give what the numbers they are give.
  std::vector<low::BFloat16> lf(f.size()), lsoft(soft.size());
  for (size_t i = 0; i < f.size(); i++) low::put(&lf[i], f[i]), f[i] = low::number(lf[i]);
  for (size_t i = 0; i < soft.size(); i++) low::put(&lsoft[i], soft[i]), soft[i] = low::number(lsoft[i]);
  std::vector<float> lw(w.begin(), w.end()), lgrad(grad.begin(), grad.end()), lloss(M), lsums(2 * M), ldf(f.size()), ldw(w.size());
  for (size_t i = 0; i < w.size(); i++) w[i] = lw[i];
  forward();
  std::fill(df.begin(), df.end(), 0.0);
  host::launch(M, 1, TILE, [&] {
    parts::mask_dice_backward(f.data(), w.data(), image.data(), soft.data(), truth.data(), sums.data(), grad.data(), df.data(), dw.data(), P);
  });
  host::launch(M, 1, 64, [&] { low::mask_dice_low(lf.data(), lw.data(), image.data(), lsoft.data(), truth.data(), lloss.data(), lsums.data(), P); });
  host::launch(M, 1, TILE, [&] {
    low::mask_dice_backward_low(lf.data(), lw.data(), image.data(), lsoft.data(), truth.data(), lsums.data(), lgrad.data(), ldf.data(), ldw.data(), P);
  });
  double lost = 0;
  for (int m = 0; m < M; m++) lost = greater(lost, std::fabs(loss[m] - lloss[m]));
  for (size_t i = 0; i < df.size(); i++) lost = greater(lost, std::fabs(df[i] - ldf[i]));
  for (size_t i = 0; i < dw.size(); i++) lost = greater(lost, std::fabs(dw[i] - ldw[i]));
  expect("bfloat16", lost, 1e-4);

  // Truths in bytes give the same as truths in numbers.
  for (int i = 0; i < G * P; i++) soft[i] = hard[i];
  forward();
  auto want = loss;
  host::launch(M, 1, 64, [&] { whole::mask_dice_whole(f.data(), w.data(), image.data(), hard.data(), truth.data(), loss.data(), sums.data(), P); });
  double far = 0;
  for (int m = 0; m < M; m++) {
    double pg = 0, squares = 1e-5;
    for (int i = 0; i < P; i++) {
      double a[4], b[4];
      const double* k = &w[m * K];
      for (int c = 0; c < C; c++) a[c] = f[(image[m] * C + c) * P + i];
      for (int l = 0; l < 2; l++) {
        for (int o = 0; o < C; o++) {
          b[o] = k[36 + l * 4 + o];
          for (int c = 0; c < C; c++) b[o] += k[l * 16 + o * 4 + c] * a[c];
        }
        for (int c = 0; c < C; c++) a[c] = std::max(b[c], 0.0);
      }
      double z = k[44];
      for (int c = 0; c < C; c++) z += k[32 + c] * a[c];
      double p = 1 / (1 + std::exp(-z)), t = hard[truth[m] * P + i];
      pg += p * t, squares += p * p + t * t;
    }
    far = greater(far, std::fabs(loss[m] - (1 - 2 * pg / squares)));
    far = greater(far, std::fabs(loss[m] - want[m]));
  }
  expect("losses", far, 1e-12);
}
