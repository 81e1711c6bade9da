// dynamic_conv.cu against RoIAlign, two products and two norms in double precision, for columns that are more and fewer than
// threads, and for numbers of few bits.
#include "check.h"

#define SCALAR float
namespace plain {
#define STORED float
#define CHANNELS 16
#define WIDTH 6
#define TILE 12
#include KERNEL
#undef STORED
#undef CHANNELS
#undef WIDTH
#undef TILE
}
namespace wide {
#define dynamic_conv dynamic_conv_wide  // it is a function of C: its name is of the whole program
#define STORED BFloat16
#define CHANNELS 300
#define WIDTH 70
#define TILE 4
#include KERNEL
#undef dynamic_conv
#undef STORED
#undef CHANNELS
#undef WIDTH
#undef TILE
}

const int H = 12, WIDE = 14, R = 3;

template <typename V>
static void norm_relu(V& v, const std::vector<float>& weight, const std::vector<float>& bias) {
  double mean = 0, squares = 0;
  for (double e : v) mean += e / v.size();
  for (double e : v) squares += (e - mean) * (e - mean) / v.size();
  for (size_t i = 0; i < v.size(); i++) v[i] = std::max((v[i] - mean) / std::sqrt(squares + 1e-5) * weight[i] + bias[i], 0.0);
}

// A Case has one level, whose pixels are 4 of the boxes' coordinates.
struct Case {
  int d, w, bins, samples;
  std::vector<float> plane, matrices, norms[4], boxes{3, 5, 40, 30, -9, -9, 70, 60, 10, 10, 18, 30};
  std::vector<long long> image{1, 0, 1};

  Case(std::mt19937& g, int d, int w, int bins, int samples) : d(d), w(w), bins(bins), samples(samples) {
    plane = normals<float>(g, 2 * H * WIDE * d), matrices = normals<float>(g, 2 * R * d * w);
    for (int i = 0; i < 4; i++) norms[i] = normals<float>(g, i < 2 ? w : d);
  }

  // pooled is the mean of a bin's bilinear samples.
  double pooled(int r, int bin, int c) const {
    auto at = [&](double y, double x) {
      if (!(y >= -1 && y <= H && x >= -1 && x <= WIDE)) return 0.0;
      y = std::clamp(y, 0.0, H - 1.0), x = std::clamp(x, 0.0, WIDE - 1.0);
      int y0 = std::min(int(y), H - 2), x0 = std::min(int(x), WIDE - 2);
      auto pixel = [&](int v, int u) { return double(plane[((image[r] * H + v) * WIDE + u) * d + c]); };
      double dy = y - y0, dx = x - x0;
      return (1 - dy) * ((1 - dx) * pixel(y0, x0) + dx * pixel(y0, x0 + 1)) + dy * ((1 - dx) * pixel(y0 + 1, x0) + dx * pixel(y0 + 1, x0 + 1));
    };
    const float* b = &boxes[4 * r];
    double sum = 0;
    for (int i = 0; i < samples * samples; i++) {
      double y = (b[1] + (bin / bins + (i / samples + 0.5) / samples) * (double(b[3]) - b[1]) / bins) / 4 - 0.5;
      double x = (b[0] + (bin % bins + (i % samples + 0.5) / samples) * (double(b[2]) - b[0]) / bins) / 4 - 0.5;
      sum += at(y, x) / (samples * samples);
    }
    return sum;
  }

  template <typename Out>
  double worst(Out out) const {
    double off = 0;
    for (int r = 0; r < R; r++) {
      const float *a = &matrices[2 * r * d * w], *b = a + d * w;
      for (int bin = 0; bin < bins * bins; bin++) {
        std::vector<double> hidden(w), y(d);
        for (int c = 0; c < d; c++) {
          double x = pooled(r, bin, c);
          for (int j = 0; j < w; j++) hidden[j] += x * a[c * w + j];
        }
        norm_relu(hidden, norms[0], norms[1]);
        for (int j = 0; j < w; j++) {
          for (int c = 0; c < d; c++) y[c] += hidden[j] * b[j * d + c];
        }
        norm_relu(y, norms[2], norms[3]);
        for (int c = 0; c < d; c++) off = greater(off, std::fabs(out((r * bins * bins + bin) * d + c) - y[c]) / (1 + y[c]));
      }
    }
    return off;
  }
};

template <typename L>
static L levels(void* plane) {
  L l{};
  l.data[0] = static_cast<std::decay_t<decltype(l.data[0])>>(plane), l.height[0] = H, l.width[0] = WIDE, l.scale[0] = 0.25, l.finest = 2, l.count = 1;
  return l;
}

int main() {
  std::mt19937 g(1);
  Case c(g, 16, 6, 5, 2);  // 25 bins are three tiles of 12
  std::vector<float> out(R * 25 * 16);
  auto l = levels<plain::Levels<float>>(c.plane.data());
  in_both_orders([&] {
    std::fill(out.begin(), out.end(), NAN);
    host::launch(R, 3, 256, [&] {
      plain::dynamic_conv(l, c.boxes.data(), c.image.data(), c.matrices.data(), c.norms[0].data(), c.norms[1].data(), c.norms[2].data(), c.norms[3].data(),
                          out.data(), 5, 2, 1e-5);
    });
    return out;
  });
  expect("dynamic convolution", c.worst([&](int i) { return out[i]; }), 1e-3);
  c.matrices[0] = NAN;
  host::launch(R, 3, 256, [&] {
    plain::dynamic_conv(l, c.boxes.data(), c.image.data(), c.matrices.data(), c.norms[0].data(), c.norms[1].data(), c.norms[2].data(), c.norms[3].data(),
                        out.data(), 5, 2, 1e-5);
  });
  for (int i = 0; i < R * 25 * 16; i++) {
    if (std::isnan(out[i]) != (i < 25 * 16)) std::fprintf(stderr, "what is not a number is lost\n"), std::exit(1);
  }

  Case w(g, 300, 70, 2, 1);
  using Low = wide::BFloat16;
  auto lower = [](std::vector<float>& from) {
    std::vector<Low> to(from.size());
    for (size_t i = 0; i < to.size(); i++) wide::put(&to[i], from[i]), from[i] = wide::number(to[i]);
    return to;
  };
  auto plane = lower(w.plane), matrices = lower(w.matrices), n0 = lower(w.norms[0]), n1 = lower(w.norms[1]), n2 = lower(w.norms[2]), n3 = lower(w.norms[3]);
  std::vector<Low> low_out(R * 4 * 300);
  auto ll = levels<wide::Levels<Low>>(plane.data());
  host::launch(R, 1, 256, [&] {
    wide::dynamic_conv_wide(ll, w.boxes.data(), w.image.data(), matrices.data(), n0.data(), n1.data(), n2.data(), n3.data(), low_out.data(), 2, 1, 1e-5);
  });
  expect("bfloat16", w.worst([&](int i) { return wide::number(low_out[i]); }), 5e-3);
}
