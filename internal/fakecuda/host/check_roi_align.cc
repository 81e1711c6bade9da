// roi_align.cu on features that are a plane over the picture, which bilinear samples give exactly; its backward
// pass by the inner products of both; and boxes and levels that are not finite.
#include "check.h"

#include <limits>

#define SCALAR double
#define STORED double
namespace roi {
#include KERNEL
#undef SCALAR
#undef STORED
}
namespace low {
#define SCALAR float
#define STORED Half
#define roi_align roi_align_low  // they are functions of C: names are of the whole program
#define roi_align_backward roi_align_backward_low
#include KERNEL
#undef roi_align
#undef roi_align_backward
}

int main() {
  const int H = 20, W = 30, CH = 40, R = 4, bins = 7, out_size = R * 49 * CH;
  std::vector<double> plane(H * W * CH), coarse(H * W * CH / 4), dplane(plane.size()), dcoarse(coarse.size());
  auto fill = [&](std::vector<double>& p, int h, int w, double step) {
    for (int y = 0; y < h; y++) {
      for (int x = 0; x < w; x++) {
        for (int c = 0; c < CH; c++) p[(y * w + x) * CH + c] = c + step * (2.0 * x - 3.0 * y);
      }
    }
  };
  fill(plane, H, W, 1), fill(coarse, H / 2, W / 2, 2);
  roi::Levels<double> l{};
  l.data[0] = plane.data(), l.height[0] = H, l.width[0] = W, l.scale[0] = 0.25;
  l.data[1] = coarse.data(), l.height[1] = H / 2, l.width[1] = W / 2, l.scale[1] = 0.125;
  l.count = 2;
  std::vector<double> boxes{8, 12, 80, 60, 20, 20, 50, 44, 16, 16, 90, 60, 1, 2, 3, 4}, out(out_size), grad(out_size);
  std::vector<long long> image(R), level{0, 0, 1, 0};
  auto pool = [&] {
    std::fill(out.begin(), out.end(), NAN);
    host::launch(R * 49, 1, 64, [&] { roi::roi_align(l, boxes.data(), image.data(), level.data(), out.data(), CH, bins, 2); });
  };
  pool();
  double worst = 0;
  for (int r = 0; r < 3; r++) {
    double s = l.scale[level[r]], step = level[r] ? 2 : 1;
    for (int b = 0; b < 49; b++) {
      double x = boxes[4 * r] * s - 0.5 + (b % 7 + 0.5) * (boxes[4 * r + 2] - boxes[4 * r]) * s / 7;
      double y = boxes[4 * r + 1] * s - 0.5 + (b / 7 + 0.5) * (boxes[4 * r + 3] - boxes[4 * r + 1]) * s / 7;
      for (int c = 0; c < CH; c++) worst = greater(worst, std::fabs(out[(r * 49 + b) * CH + c] - (c + step * (2 * x - 3 * y))));
    }
  }
  expect("pooled planes", worst, 1e-10);

  // ⟨pool(x), g⟩ = ⟨x, backward(g)⟩ for any x and g.
  std::mt19937 g(1);
  grad = normals<double>(g, out_size);
  auto d = l;
  d.data[0] = dplane.data(), d.data[1] = dcoarse.data();
  host::launch(R * 49, 1, 64, [&] { roi::roi_align_backward(d, boxes.data(), image.data(), level.data(), grad.data(), CH, bins, 2); });
  double left = 0, right = 0;
  for (int i = 0; i < out_size; i++) left += out[i] * grad[i];
  for (size_t i = 0; i < plane.size(); i++) right += plane[i] * dplane[i];
  for (size_t i = 0; i < coarse.size(); i++) right += coarse[i] * dcoarse[i];
  expect("adjoint", std::fabs(left - right) / std::fabs(left), 1e-10);

  // Features in float16 give what the numbers they are give, rounded once.
  std::vector<low::Half> half(plane.size()), half_coarse(coarse.size()), half_out(out_size), half_grad(out_size);
  for (size_t i = 0; i < plane.size(); i++) low::put(&half[i], plane[i] * 1.01f), plane[i] = low::number(half[i]);
  for (size_t i = 0; i < coarse.size(); i++) low::put(&half_coarse[i], coarse[i] * 1.01f), coarse[i] = low::number(half_coarse[i]);
  for (int i = 0; i < out_size; i++) low::put(&half_grad[i], grad[i]), grad[i] = low::number(half_grad[i]);
  low::Levels<low::Half> h{};
  low::Levels<float> dh{};
  std::vector<float> boxes32(boxes.begin(), boxes.end()), sums(plane.size()), sums_coarse(coarse.size());
  for (int k = 0; k < 2; k++) {
    h.data[k] = k ? half_coarse.data() : half.data(), dh.data[k] = k ? sums_coarse.data() : sums.data();
    h.height[k] = dh.height[k] = l.height[k], h.width[k] = dh.width[k] = l.width[k], h.scale[k] = dh.scale[k] = l.scale[k];
  }
  h.count = dh.count = 2;
  pool();
  host::launch(R * 49, 1, 64, [&] { low::roi_align_low(h, boxes32.data(), image.data(), level.data(), half_out.data(), CH, bins, 2); });
  double off = 0;
  for (int i = 0; i < out_size; i++) off = greater(off, std::fabs(low::number(half_out[i]) - out[i]) / (1 + std::fabs(out[i])));
  expect("float16", off, 5e-4);
  std::fill(dplane.begin(), dplane.end(), 0.0);
  std::fill(dcoarse.begin(), dcoarse.end(), 0.0);
  host::launch(R * 49, 1, 64, [&] { roi::roi_align_backward(d, boxes.data(), image.data(), level.data(), grad.data(), CH, bins, 2); });
  host::launch(R * 49, 1, 64, [&] { low::roi_align_backward_low(dh, boxes32.data(), image.data(), level.data(), half_grad.data(), CH, bins, 2); });
  double slope = 0;
  for (size_t i = 0; i < plane.size(); i++) slope = greater(slope, std::fabs(dplane[i] - sums[i]));
  for (size_t i = 0; i < coarse.size(); i++) slope = greater(slope, std::fabs(dcoarse[i] - sums_coarse[i]));
  expect("gradients of float16", slope, 1e-4);

  const double nan = NAN, huge = std::numeric_limits<double>::infinity();
  boxes = {nan, nan, nan, nan, -huge, 0, huge, 5, 0, 0, 8, 8, 1e300, 1e300, 2e300, 2e300};
  level = {std::numeric_limits<long long>::min(), 7, -1, std::numeric_limits<long long>::max()};
  pool();  // inside the levels' memory, whatever comes out

  // Levels by size.
  const int N = 300;
  auto sized = normals<float>(g, 4 * N);
  for (int i = 0; i < N; i++) {
    for (int a = 0; a < 2; a++) sized[4 * i + 2 + a] = sized[4 * i + a] + 10 * std::exp(1.5f * sized[4 * i + 2 + a]);
  }
  std::copy_n(std::vector<float>{NAN, 0, 1, 1, 0, 0, -5, 5, 0, 0, INFINITY, 1, 0, 0, 1e6, 1e6}.data(), 16, sized.data());
  double wrong = 0;
  const int strange[] = {0, 0, 3, 3};
  for (int i = 0; i < N; i++) {
    const float* b = &sized[4 * i];
    int got = low::level_of(b, 2, 4);
    double exact = 4 + std::log2(std::sqrt((double(b[2]) - b[0]) * (double(b[3]) - b[1])) / 224 + 1e-8);
    if (i >= 4 && std::fabs(exact - std::round(exact)) < 1e-5) continue;
    wrong += got != (i < 4 ? strange[i] : std::clamp(std::floor(exact), 2.0, 5.0) - 2);
  }
  expect("wrong levels", wrong, 0.5);
}
