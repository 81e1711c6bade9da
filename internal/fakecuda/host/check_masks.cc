// masks.cu on features in float16 against the same in double precision.
#include "check.h"

#define CHANNELS 8
#define LAYERS 3
#define STORED Half
namespace masks {
#include KERNEL
}

int main() {
  const int H = 20, W = 30, N = 6, OH = 70, OW = 110;
  std::mt19937 g(1);
  auto features = normals<float>(g, 8 * H * W), filters = normals<float>(g, N * masks::kParams);
  std::vector<masks::Half> stored(features.size());
  for (size_t i = 0; i < stored.size(); i++) masks::put(&stored[i], features[i]), features[i] = masks::number(stored[i]);
  auto taps = [](int n, int size) {
    std::vector<masks::Taps> t(n);
    for (int i = 0; i < n; i++) {
      float c = i * float(size - 4) / n;
      int f = int(c);
      t[i] = {f, 2, {1 - (c - f), c - f, 0, 0}};
    }
    return t;
  };
  auto xs = taps(OW, W), ys = taps(OH, H);
  std::vector<masks::Instance> in(N);
  long long at = 0, words = 0;
  int most = 0, longest = 0;
  for (auto& i : in) {
    i.x0 = g() % (OW - 10), i.x1 = i.x0 + 1 + g() % (OW - i.x0), i.y0 = g() % (OH - 10), i.y1 = i.y0 + 1 + g() % (OH - i.y0);
    i.fx = xs[i.x0].first, i.fw = xs[i.x1 - 1].first + 2 - i.fx, i.fy = ys[i.y0].first, i.fh = ys[i.y1 - 1].first + 2 - i.fy;
    i.word = i.x0 / 32, i.words = (i.x1 + 31) / 32 - i.word, i.at = at, i.bits = words;
    at += i.fw * i.fh, words += i.words * (i.y1 - i.y0);
    most = std::max(most, i.fw * i.fh), longest = std::max(longest, i.words * (i.y1 - i.y0));
  }
  std::vector<float> prob(at);
  std::vector<unsigned> out(words);
  in_both_orders([&] {
    std::fill(prob.begin(), prob.end(), NAN);
    std::fill(out.begin(), out.end(), 0xdeadbeefu);
    host::launch((most + 255) / 256, N, 256, [&] { masks::probabilities(in.data(), stored.data(), filters.data(), H, W, prob.data()); });
    host::launch((longest + 7) / 8, N, 256, [&] { masks::bits(in.data(), xs.data(), ys.data(), prob.data(), 0.5f, out.data()); });
    return std::make_pair(prob, out);
  });
  long wrong = 0;
  double worst = 0;
  for (int m = 0; m < N; m++) {
    const auto& i = in[m];
    std::vector<double> p(i.fw * i.fh);
    for (int k = 0; k < i.fw * i.fh; k++) {
      int y = i.fy + k / i.fw, x = i.fx + k % i.fw;
      double a[8], b[8];
      for (int c = 0; c < 8; c++) a[c] = features[(c * H + y) * W + x];
      const float* f = &filters[m * masks::kParams];
      for (int l = 0; l < 2; l++) {
        for (int o = 0; o < 8; o++) {
          b[o] = f[136 + l * 8 + o];
          for (int c = 0; c < 8; c++) b[o] += f[l * 64 + o * 8 + c] * a[c];
        }
        for (int c = 0; c < 8; c++) a[c] = std::max(b[c], 0.0);
      }
      double z = f[152];
      for (int c = 0; c < 8; c++) z += f[128 + c] * a[c];
      p[k] = 1 / (1 + std::exp(-z));
      worst = greater(worst, std::fabs(p[k] - prob[i.at + k]));
    }
    for (int y = i.y0; y < i.y1; y++) {
      for (int x = i.word * 32; x < (i.word + i.words) * 32; x++) {
        bool got = out[i.bits + (y - i.y0) * i.words + x / 32 - i.word] >> (x % 32) & 1, want = false;
        double v = 0;
        if (x >= i.x0 && x < i.x1) {
          for (int k = 0; k < 2; k++) {
            for (int j = 0; j < 2; j++) v += double(ys[y].weight[k]) * xs[x].weight[j] * p[(ys[y].first + k - i.fy) * i.fw + xs[x].first + j - i.fx];
          }
          want = v > 0.5;
        }
        wrong += got != want && std::fabs(v - 0.5) > 1e-5;
      }
    }
  }
  expect("probabilities", worst, 1e-5);
  expect("wrong bits", double(wrong), 0.5);
}
