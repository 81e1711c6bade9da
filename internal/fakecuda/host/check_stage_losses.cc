// stage_losses.cu against itself in central differences, in double precision, and its losses against plain sums.
#include "check.h"

#define SCALAR double
#define QUALITY 0
#define FOCAL 1
#define COLUMNS 1
#include KERNEL

int main() {
  std::mt19937 g(1);
  const long long S = 2, B = 2, N = 70, R = B * N, K = 5, G = 3, M = 6, blocks = (R + 127) / 128;
  auto logits = normals<double>(g, S * R * K), boxes = normals<double>(g, S * R * 4), dice = normals<double>(g, M);
  auto up = normals<double>(g, S * 4);
  for (long long i = 0; i < S * R; i++) {
    for (int a = 0; a < 2; a++) {
      boxes[4 * i + a] = 20 + 8 * boxes[4 * i + a];
      boxes[4 * i + 2 + a] = boxes[4 * i + a] + 15 * std::exp(0.3 * boxes[4 * i + 2 + a]);
    }
  }
  std::vector<float> truths{10, 10, 40, 30, 22, 5, 60, 50, 100, 100, 120, 130}, sizes{100, 80, 150, 140};
  std::vector<long long> kinds{1, 4, 0, 1, 1, 1}, plan(S * R, -1), rows{0, 69, 130, R + 5, R + 70, R + 139}, images{0, 0, 1, 0, 1, 1}, of{0, 1, 2, 1, 2, 2};
  for (long long m = 0; m < M; m++) plan[rows[m]] = m;
  for (auto* list : {&rows, &images, &of}) plan.insert(plan.end(), list->begin(), list->end());
  for (long long v : {0, 3, 6, 3, 4}) plan.push_back(v);                    // first pairs and divisors
  for (long long v : {1, 1, 0, 1, 1, 1, 1, 1, 1, 0}) plan.push_back(v);     // classes that count

  const double alpha = 0.3, gamma = 1.5, w[] = {2, 5, 3, 4};
  std::vector<double> class_sums(S), box_sums(S * blocks * 2), terms(S * 4), dlogits(logits.size()), dboxes(boxes.size()), ddice(M);
  auto forward = [&] {
    host::launch(blocks, S, 128, [&] {
      box_losses(boxes.data(), plan.data(), truths.data(), sizes.data(), kinds.data(), dice.data(), nullptr, box_sums.data(), R, N, M, G);
    });
    host::launch(1, S, 64, [&] { class_losses(logits.data(), plan.data(), kinds.data(), nullptr, class_sums.data(), R, K, M, alpha, gamma); });
    host::launch(1, S, 64, [&] {
      stage_terms(class_sums.data(), box_sums.data(), dice.data(), plan.data(), terms.data(), 1, blocks, R, M, w[0], w[1], w[2], w[3]);
    });
    double sum = 0;
    for (size_t i = 0; i < terms.size(); i++) sum += terms[i] * up[i];
    return sum;
  };
  in_both_orders([&] {
    forward();
    std::fill(dlogits.begin(), dlogits.end(), NAN), std::fill(dboxes.begin(), dboxes.end(), NAN), std::fill(ddice.begin(), ddice.end(), NAN);
    host::launch(2, S, 64, [&] {
      class_losses_backward(logits.data(), plan.data(), kinds.data(), nullptr, up.data(), dlogits.data(), R, K, M, alpha, gamma, w[0]);
    });
    host::launch(blocks, S, 128, [&] {
      box_losses_backward(boxes.data(), plan.data(), truths.data(), sizes.data(), up.data(), dboxes.data(), ddice.data(), R, N, M, w[1], w[2], w[3]);
    });
    return std::make_pair(terms, std::make_pair(dlogits, dboxes));
  });
  const double h = 1e-6;
  double worst = 0;
  auto slope = [&](double& at) {
    double was = at;
    at = was + h;
    double more = forward();
    at = was - h;
    double less = forward();
    at = was;
    return (more - less) / (2 * h);
  };
  for (long long m = 0; m < M; m++) {
    for (int k = 0; k < 4; k++) worst = greater(worst, std::fabs(slope(boxes[4 * rows[m] + k]) - dboxes[4 * rows[m] + k]));
    for (int k = 0; k < K; k++) worst = greater(worst, std::fabs(slope(logits[K * rows[m] + k]) - dlogits[K * rows[m] + k]));
    worst = greater(worst, std::fabs(slope(dice[m]) - ddice[m]));
  }
  for (size_t i = 3; i < dlogits.size(); i += 97) worst = greater(worst, std::fabs(slope(logits[i]) - dlogits[i]));
  for (size_t i = 0; i < dboxes.size(); i++) {
    bool matched = std::find(rows.begin(), rows.end(), static_cast<long long>(i / 4)) != rows.end();
    if (!matched) worst = greater(worst, std::fabs(dboxes[i]));
  }
  expect("gradients", worst, 1e-6);

  forward();
  double far = 0;
  for (long long s = 0; s < S; s++) {
    double want[4] = {};
    const long long *divisor = &plan[S * R + 3 * M + S + 1], *columns = divisor + S;
    for (long long i = 0; i < R * K; i++) {
      if (!columns[s * K + i % K]) continue;
      long long m = plan[s * R + i / K];
      double y = m >= 0 && kinds[of[m]] == i % K, p = 1 / (1 + std::exp(-logits[s * R * K + i]));
      want[0] += y ? -alpha * std::pow(1 - p, gamma) * std::log(p) : -(1 - alpha) * std::pow(p, gamma) * std::log(1 - p);
    }
    for (long long m = 3 * s; m < 3 * s + 3; m++) {
      const double* a = &boxes[4 * rows[m]];
      const float *b = &truths[4 * of[m]], *size = &sizes[2 * images[m]];
      for (int k = 0; k < 4; k++) want[1] += std::fabs(a[k] - b[k]) / size[k % 2];
      auto area = [](double x0, double y0, double x1, double y1) { return std::max(x1 - x0, 0.0) * std::max(y1 - y0, 0.0); };
      double common = area(std::max<double>(a[0], b[0]), std::max<double>(a[1], b[1]), std::min<double>(a[2], b[2]), std::min<double>(a[3], b[3]));
      double hull = area(std::min<double>(a[0], b[0]), std::min<double>(a[1], b[1]), std::max<double>(a[2], b[2]), std::max<double>(a[3], b[3]));
      double all = area(a[0], a[1], a[2], a[3]) + area(b[0], b[1], b[2], b[3]) - common;
      want[2] += 1 - (common / all - (hull - all) / hull);
      want[3] += dice[m];
    }
    for (int k = 0; k < 4; k++) far = greater(far, std::fabs(terms[4 * s + k] - w[k] * want[k] / divisor[s]));
  }
  expect("losses", far, 1e-10);
}
