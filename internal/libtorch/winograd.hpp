// 3×3 convolutions of stride 1 in float32 on the CPU with fewer multiplications: Winograd's F(4×4,3×3) (Lavin, Gray,
// arXiv 1509.09308) makes 4×4 pixels of 36 products per pair of channels instead of 144. It is a convolution by polynomials
// evaluated at 0, ±a, ±b and ∞, where a and b keep the error small: Aᵀ[(G·g·Gᵀ)⊙(Bᵀ·d·B)]A for the weights g and 6×6 pixels d.
// Tiles go through all steps in blocks that stay in the L2 cache. The gradient of such a convolution's input is one, too: of the
// output's gradient with the weights mirrored and the channels exchanged.
#include <ATen/Parallel.h>
#include <ATen/ops/convolution_backward.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "autograd.h"
#include "count.h"
#include "kernels.h"
#include "panel.h"
#include "shim.h"

namespace {

constexpr int64_t kTile = 4, kPatch = 6, kPoints = kPatch * kPatch;  // pixels of a side of a tile; products
constexpr float a = 0.625f, b = 1.5f, a2 = a * a, b2 = b * b;

struct Convolution {
  const float *x, *weight, *bias, *add;
  float* y;
  int64_t height, width, in, out, down, across;  // pixels, channels, tiles of a picture
  bool relu;

  int64_t panels() const { return (out + di::kColumns - 1) / di::kColumns; }
};

// Tiles from … to−1 of all pictures, and panels of output channels.
struct Block {
  int64_t from, to, first, last;
};

// evaluate replaces 6 pixels by the polynomial's values: Bᵀ·d.
template <typename V>
DI_INLINE void evaluate(V (&d)[kPatch]) {
  V even = d[4] - b2 * d[2], odd = d[3] - b2 * d[1], even2 = d[4] - a2 * d[2], odd2 = d[3] - a2 * d[1];
  d[0] = a2 * b2 * d[0] + (d[4] - (a2 + b2) * d[2]);
  d[5] = a2 * b2 * d[1] + (d[5] - (a2 + b2) * d[3]);
  d[1] = even + a * odd;
  d[2] = even - a * odd;
  d[3] = even2 + b * odd2;
  d[4] = even2 - b * odd2;
}

// interpolate returns 4 pixels: Aᵀ·m.
template <typename V>
DI_INLINE void interpolate(const V (&m)[kPatch], V (&y)[kTile]) {
  V sum = m[1] + m[2], difference = m[1] - m[2], sum2 = m[3] + m[4], difference2 = m[3] - m[4];
  y[0] = m[0] + sum + sum2;
  y[1] = a * difference + b * difference2;
  y[2] = a2 * sum + b2 * sum2;
  y[3] = a * a2 * difference + (b * b2 * difference2 + m[5]);
}

// Where the values of a block's tiles are: of each point, blocks of 16 channels of all tiles, and 32 output channels.
// The planes of the points are a line further apart, so that they do not share the sets of a cache.
struct Planes {
  int64_t tiles, in;
  int64_t values() const { return tiles * in + di::kTerms; }
  int64_t products() const { return tiles * di::kColumns + di::kTerms; }
  int64_t size() const { return kPoints * (values() + products()); }
};

// spread writes the values of tile t of a block: its 36 pixels are at pixels.
template <int bytes>
DI_INLINE void spread(const float* const (&pixels)[kPoints], const Planes& p, int64_t t, float* to) {
  using S = di::Simd<bytes>;
  using V = typename S::V;
  for (int64_t c = 0; c < p.in; c += S::count) {
    V columns[kPatch][kPatch];  // by x and y
    for (int64_t x = 0; x < kPatch; x++) {
      for (int64_t y = 0; y < kPatch; y++) columns[x][y] = S::load(pixels[y * kPatch + x] + c);
      evaluate(columns[x]);
    }
    float* out = to + (c / di::kTerms * p.tiles + t) * di::kTerms + c % di::kTerms;
    for (int64_t y = 0; y < kPatch; y++) {
      V row[kPatch];
      for (int64_t x = 0; x < kPatch; x++) row[x] = columns[x][y];
      evaluate(row);
      for (int64_t x = 0; x < kPatch; x++) S::store(out + (y * kPatch + x) * p.values(), row[x]);
    }
  }
}

// gather writes the pixels of tile t of a block, from row v and column u of the picture on, in a panel's channels from c on.
template <int bytes>
DI_INLINE void gather(const Convolution& conv, const Planes& p, const float* products, int64_t t, int64_t picture, int64_t v,
                      int64_t u, int64_t c) {
  using S = di::Simd<bytes>;
  using V = typename S::V;
  int64_t high = std::min(kTile, conv.height - v), wide = std::min(kTile, conv.width - u);
  int64_t last = std::min(conv.out, c + di::kColumns);
  for (const float* from = products + t * di::kColumns; c < last; c += S::count, from += S::count) {
    V columns[kPatch][kTile];
    for (int64_t x = 0; x < kPatch; x++) {
      V m[kPatch];
      for (int64_t y = 0; y < kPatch; y++) m[y] = S::load(from + (y * kPatch + x) * p.products());
      interpolate(m, columns[x]);
    }
    V bias = conv.bias == nullptr ? V{} : S::load(conv.bias + c);
    for (int64_t y = 0; y < kTile; y++) {
      V m[kPatch], row[kTile];
      for (int64_t x = 0; x < kPatch; x++) m[x] = columns[x][y];
      interpolate(m, row);
      if (y >= high) break;
      int64_t at = ((picture * conv.height + v + y) * conv.width + u) * conv.out + c;
      for (int64_t x = 0; x < kTile; x++, at += conv.out) {
        if (x >= wide) break;
        V z = row[x] + bias;
        if (conv.add != nullptr) z += S::load(conv.add + at);
        if (conv.relu) z = z < V{} ? V{} : z;  // NaN stays
        S::store(conv.y + at, z);
      }
    }
  }
}

// convolve computes a block; zeros are as many as there are input channels.
template <int bytes>
DI_INLINE void convolve(const Convolution& conv, const Block& block, const float* zeros, float* scratch) {
  Planes p{block.to - block.from, conv.in};
  float* products = scratch + kPoints * p.values();
  for (int64_t t = 0; t < p.tiles; t++) {
    int64_t tile = block.from + t, picture = tile / (conv.down * conv.across);
    int64_t top = tile / conv.across % conv.down * kTile - 1, left = tile % conv.across * kTile - 1;
    const float* pixels[kPoints];
    for (int64_t i = 0; i < kPoints; i++) {
      int64_t y = top + i / kPatch, x = left + i % kPatch;
      bool inside = y >= 0 && y < conv.height && x >= 0 && x < conv.width;
      pixels[i] = inside ? conv.x + ((picture * conv.height + y) * conv.width + x) * conv.in : zeros;
    }
    spread<bytes>(pixels, p, t, scratch);
  }
  for (int64_t panel = block.first; panel < block.last; panel++) {
    for (int64_t i = 0; i < kPoints; i++) {
      di::multiply<bytes>(di::Panel{scratch + i * p.values(), conv.weight + (panel * kPoints + i) * conv.in * di::kColumns,
                                    products + i * p.products(), p.tiles * di::kTerms, p.tiles, conv.in / di::kTerms});
    }
    for (int64_t t = 0; t < p.tiles; t++) {
      int64_t tile = block.from + t, picture = tile / (conv.down * conv.across);
      gather<bytes>(conv, p, products, t, picture, tile / conv.across % conv.down * kTile, tile % conv.across * kTile,
                    panel * di::kColumns);
    }
  }
}

DI_AVX512 void convolve512(const Convolution& conv, const Block& block, const float* zeros, float* scratch) {
  convolve<64>(conv, block, zeros, scratch);
}

DI_AVX2 void convolve256(const Convolution& conv, const Block& block, const float* zeros, float* scratch) {
  convolve<32>(conv, block, zeros, scratch);
}

// fits returns how many tiles a block has at most: three quarters of the L2 cache, and 28 if that is less.
int64_t fits(int64_t in) {
#ifdef _SC_LEVEL2_CACHE_SIZE
  static const int64_t cache = sysconf(_SC_LEVEL2_CACHE_SIZE);
#else
  constexpr int64_t cache = 0;
#endif
  int64_t tiles = cache * 3 / 4 / (Planes{1, in}.size() * static_cast<int64_t>(sizeof(float)));
  return std::clamp<int64_t>(tiles, 28, 84);
}

// scratch returns memory of a thread, which it keeps: about as much as the L2 cache.
float* scratch(int64_t n) {
  thread_local std::unique_ptr<float[]> memory;
  thread_local int64_t size = 0;
  constexpr int64_t line = 64 / sizeof(float);
  if (n > size) {
    memory.reset(new float[n + line]);
    size = n;
  }
  return reinterpret_cast<float*>((reinterpret_cast<uintptr_t>(memory.get()) + 63) / 64 * 64);
}

void convolve(const Convolution& conv, int64_t pictures) {
  int64_t tiles = pictures * conv.down * conv.across, threads = at::get_num_threads();
  int64_t most = fits(conv.in), blocks = (tiles + most - 1) / most, parts = 1;
  if (tiles >= 14 * threads) {
    blocks = (blocks + threads - 1) / threads * threads;
  } else {
    parts = std::min(conv.panels(), (threads + blocks - 1) / blocks);
  }
  std::vector<float> zeros(conv.in);
  at::parallel_for(0, blocks * parts, 1, [&](int64_t from, int64_t to) {
    float* memory = scratch(Planes{(tiles + blocks - 1) / blocks, conv.in}.size());
    for (int64_t i = from; i < to; i++) {
      int64_t block = i / parts, part = i % parts;
      Block of{tiles * block / blocks, tiles * (block + 1) / blocks, conv.panels() * part / parts, conv.panels() * (part + 1) / parts};
      (di::simd() == 64 ? convolve512 : convolve256)(conv, of, zeros.data(), memory);
    }
  });
}

using Columns = double[di::kColumns];

// products writes G·g·Gᵀ for the weights of a panel's columns: 36 points, which are apart numbers apart.
DI_NARROW_CLONES void products(const Columns (&g)[3][3], float* to, int64_t apart) {
  constexpr double p = a, q = b, p2 = p * p, q2 = q * q, n = 2 * p2 * (p2 - q2), m = 2 * q2 * (q2 - p2);
  constexpr double G[kPatch][3] = {{1 / (p2 * q2), 0, 0}, {1 / n, p / n, p2 / n}, {1 / n, -p / n, p2 / n},
                                   {1 / m, q / m, q2 / m}, {1 / m, -q / m, q2 / m}, {0, 0, 1}};
  for (int64_t y = 0; y < kPatch; y++) {
    Columns half[3];
    for (int64_t x = 0; x < 3; x++) {
      for (int64_t k = 0; k < di::kColumns; k++) half[x][k] = G[y][0] * g[0][x][k] + G[y][1] * g[1][x][k] + G[y][2] * g[2][x][k];
    }
    for (int64_t x = 0; x < kPatch; x++, to += apart) {
      for (int64_t k = 0; k < di::kColumns; k++) to[k] = static_cast<float>(half[0][k] * G[x][0] + half[1][k] * G[x][1] + half[2][k] * G[x][2]);
    }
  }
}

// transform returns G·g·Gᵀ of (K,C,3,3): (panels,36,C,32), with zeros for channels that are not there. mirrored makes it that of the
// convolution of the output's gradient.
at::Tensor transform(const at::Tensor& weight, bool mirrored) {
  int64_t out = weight.size(mirrored ? 1 : 0), in = weight.size(mirrored ? 0 : 1), panels = (out + di::kColumns - 1) / di::kColumns;
  auto u = di::empty({panels, kPoints, in, di::kColumns}, weight.options().memory_format(at::MemoryFormat::Contiguous));
  auto* to = static_cast<float*>(u.data_ptr());
  const auto* from = static_cast<const float*>(weight.data_ptr());
  int64_t column = weight.stride(0), row = weight.stride(1), down = weight.stride(2), right = weight.stride(3);
  if (mirrored) {
    from += 2 * (down + right);
    std::swap(column, row);
    down = -down, right = -right;
  }
  at::parallel_for(0, panels * in, 32, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; i++) {
      const int64_t panel = i / in, c = i % in, k0 = panel * di::kColumns, columns = std::min(out - k0, di::kColumns);
      Columns g[3][3] = {};
      for (int64_t k = 0; k < columns; k++) {
        const float* at = from + (k0 + k) * column + c * row;
        for (int64_t y = 0; y < 3; y++) {
          for (int64_t x = 0; x < 3; x++) g[y][x][k] = at[y * down + x * right];
        }
      }
      products(g, to + (panel * kPoints * in + c) * di::kColumns, in * di::kColumns);
    }
  });
  return u;
}

// A Term is a float32 tensor on the CPU that is added, or none.
using Term = di::optional<at::Tensor>;

bool plain(const at::Tensor& t) { return t.is_cpu() && t.scalar_type() == at::kFloat; }

// convolved returns the convolution of x with a transformed weight; none of them is of an autograd graph.
at::Tensor convolved(const at::Tensor& x, const at::Tensor& weight, int64_t out, const Term& bias, const Term& add, bool relu) {
  Convolution conv{};
  conv.in = x.size(1), conv.out = out, conv.height = x.size(2), conv.width = x.size(3), conv.relu = relu;
  auto pixels = x.contiguous(at::MemoryFormat::ChannelsLast);
  auto y = di::empty({x.size(0), out, conv.height, conv.width}, x.options().memory_format(at::MemoryFormat::ChannelsLast));
  at::Tensor b, z;
  if (bias) {
    b = bias->contiguous();
    TORCH_CHECK(plain(b) && b.numel() == out, "the bias must be (", out, ")");
    conv.bias = static_cast<const float*>(b.data_ptr());
  }
  if (add) {
    z = add->contiguous(at::MemoryFormat::ChannelsLast);
    TORCH_CHECK(plain(z) && z.sizes() == y.sizes(), "what is added must have the result's shape");
    conv.add = static_cast<const float*>(z.data_ptr());
  }
  conv.x = static_cast<const float*>(pixels.data_ptr()), conv.weight = static_cast<const float*>(weight.data_ptr());
  conv.y = static_cast<float*>(y.data_ptr());
  conv.down = (conv.height + kTile - 1) / kTile, conv.across = (conv.width + kTile - 1) / kTile;
  di::counted_flop += 18 * y.numel() * conv.in;
  convolve(conv, x.size(0));
  return y;
}

void check_pixels(const at::Tensor& x) {
  TORCH_CHECK(x.dim() == 4 && x.numel() > 0 && plain(x), "x must be (B,C,H,W) in float32 on the CPU, and not empty");
}

void check_weight(const at::Tensor& w) {
  TORCH_CHECK(plain(w) && w.dim() == 4 && w.size(2) == 3 && w.size(3) == 3, "the weight must be float32 (K,C,3,3) on the CPU");
  TORCH_CHECK(di_winograd_fits(w.size(1), w.size(0)), "no such convolution of ", w.size(1), " channels to ", w.size(0), " on this processor");
}

}  // namespace

bool di_winograd_fits(int64_t in, int64_t out) noexcept {
  return di::simd() > 16 && in >= 32 && out >= 32 && in % di::kTerms == 0 && out % di::kTerms == 0;
}

di_result1 di_winograd_weight(di_tensor weight) noexcept {
  return di::call1([&] {
    const auto& w = di::ref(weight);
    check_weight(w);
    TORCH_CHECK(!di::needs_gradient({w}), "there are no gradients");
    return transform(w.detach(), false);
  });
}

di_result1 di_winograd(di_tensor x, di_tensor weight, int64_t out, di_tensor bias, di_tensor add, bool relu) noexcept {
  return di::call1([&] {
    const auto &t = di::ref(x), &w = di::ref(weight);
    auto b = di::optional_ref(bias), z = di::optional_ref(add);
    check_pixels(t);
    int64_t in = t.size(1), panels = (out + di::kColumns - 1) / di::kColumns;
    TORCH_CHECK(di_winograd_fits(in, out) && plain(w) && w.is_contiguous() && w.sizes() == at::IntArrayRef({panels, kPoints, in, di::kColumns}),
                "the weight is not one for ", in, " to ", out, " channels");
    TORCH_CHECK(!di::needs_gradient({t, w, b ? *b : at::Tensor(), z ? *z : at::Tensor()}), "there are no gradients");
    return convolved(t, w, out, b, z, relu);
  });
}

di_result1 di_winograd_learned(di_tensor x, di_tensor weight, di_tensor bias) noexcept {
  return di::call1([&] {
    const auto &t = di::ref(x), &w = di::ref(weight);
    auto b = di::optional_ref(bias);
    check_pixels(t);
    check_weight(w);
    TORCH_CHECK(w.size(1) == t.size(1), "the weight is for ", w.size(1), " channels, not ", t.size(1));
    auto pixels = t.detach().contiguous(at::MemoryFormat::ChannelsLast), kernel = w.detach();
    auto y = convolved(pixels, transform(kernel, false), w.size(0), b ? Term(b->detach()) : b, {}, false);
    std::vector<at::Tensor> inputs{t, w, b ? *b : at::Tensor()};
    if (!di::needs_gradient(inputs)) return y;
    di::set_backward(y, inputs, [pixels, kernel](const at::Tensor& grad, const std::vector<bool>& wanted) {
      auto slope = grad.contiguous(at::MemoryFormat::ChannelsLast);
      di::Tensors out(3);
      if (wanted[1] || wanted[2]) {
        auto others = at::convolution_backward(slope, pixels, kernel, at::IntArrayRef({kernel.size(0)}), {1, 1}, {1, 1}, {1, 1}, false, {0, 0}, 1,
                                               {false, wanted[1], wanted[2]});
        out[1] = std::get<1>(others), out[2] = std::get<2>(others);
      }
      if (wanted[0]) out[0] = convolved(slope, transform(kernel, true), kernel.size(1), {}, {}, false);
      return out;
    });
    return y;
  });
}
