// The losses of the supervised decoder stages of a training step on a GPU, forward and backward; see stage_losses.hpp.
// blockIdx.y is the stage, of which each has `rows` proposals. QUALITY is 0 if matches learn a score of 1, 1 if they learn
// the IoU of their box, 2 that of their mask; FOCAL whether the class loss is a focal loss; COLUMNS whether
// some classes do not count.

#include "block_sum.cuh"

// What proposals are matched with.
struct Matches {
  const long long* pair;     // (S,rows): its place among the pairs, or −1
  const long long* truth;    // (M): the object of each pair, among all of the batch
  const long long* first;    // (S+1): the pairs of each stage
  const long long* divisor;  // (S)
  const long long* columns;  // (S,classes): 1 for those that count

  __device__ explicit Matches(const long long* plan, long long stages, long long rows, long long pairs)
      : pair(plan), truth(plan + stages * rows + 2 * pairs), first(truth + pairs), divisor(first + stages + 1),
        columns(divisor + stages) {}
};

// A box and its object's along one axis. Gradients at a tie and at an edge are LibTorch's.
struct Side {
  T a0, a1, b0, b1;

  static __device__ T positive(T v) { return v < T(0) ? T(0) : v; }  // propagates NaN
  // share is how much of the gradient of max(a, b) is a's.
  static __device__ T share(T a, T b) { return a > b ? T(1) : a == b ? T(0.5) : T(0); }

  __device__ T common() const { return (a1 < b1 ? a1 : b1) - (a0 > b0 ? a0 : b0); }
  __device__ T hull() const { return (a1 > b1 ? a1 : b1) - (a0 < b0 ? a0 : b0); }

  // gradients adds the gradients of a0 and a1, given the gradients of the three lengths.
  __device__ void gradients(T dcommon, T dhull, T dlength, T* d0, T* d1) const {
    if (common() >= T(0)) *d1 += dcommon * share(b1, a1), *d0 -= dcommon * share(a0, b0);
    if (hull() >= T(0)) *d1 += dhull * share(a1, b1), *d0 -= dhull * share(b0, a0);
    if (a1 - a0 >= T(0)) *d1 += dlength, *d0 -= dlength;
  }
};

// A predicted box and its object's.
struct Pair {
  Side x, y;
  T width, height;                    // of the picture
  T common, hull, area, other, all;   // areas: of both, of the box around them, of each, of either

  __device__ Pair(const T* box, const float* truth, const float* size)
      : x{box[0], box[2], truth[0], truth[2]}, y{box[1], box[3], truth[1], truth[3]}, width(size[0]), height(size[1]) {
    common = Side::positive(x.common()) * Side::positive(y.common());
    hull = Side::positive(x.hull()) * Side::positive(y.hull());
    area = Side::positive(x.a1 - x.a0) * Side::positive(y.a1 - y.a0);
    other = Side::positive(x.b1 - x.b0) * Side::positive(y.b1 - y.b0);
    all = area + other - common;
  }

  static __device__ T far(T a, T b, T size) {
    T d = a / size - b / size;
    return d < T(0) ? -d : d;
  }
  __device__ T l1() const { return far(x.a0, x.b0, width) + far(y.a0, y.b0, height) + far(x.a1, x.b1, width) + far(y.a1, y.b1, height); }
  __device__ T iou() const { return common / all; }
  __device__ T giou() const { return iou() - (hull - all) / hull; }

  static __device__ T slope(T a, T b, T size) { return (a / size > b / size ? T(1) : a / size < b / size ? T(-1) : T(0)) / size; }

  // gradients writes the box's gradients, given the gradients of l1 and of giou.
  __device__ void gradients(T dl1, T dgiou, T* out) const {
    T dall = dgiou * (T(1) / hull - common / (all * all));
    T dcommon = dgiou / all - dall, dhull = -dgiou * all / (hull * hull);
    out[0] = dl1 * slope(x.a0, x.b0, width), out[2] = dl1 * slope(x.a1, x.b1, width);
    out[1] = dl1 * slope(y.a0, y.b0, height), out[3] = dl1 * slope(y.a1, y.b1, height);
    x.gradients(dcommon * Side::positive(y.common()), dhull * Side::positive(y.hull()), dall * Side::positive(y.a1 - y.a0), out, out + 2);
    y.gradients(dcommon * Side::positive(x.common()), dhull * Side::positive(x.hull()), dall * Side::positive(x.a1 - x.a0), out + 1, out + 3);
  }
};

// Writes the sums of L1 distances and of 1 − GIoU of each block's proposals, (S,gridDim.x,2), and the quality (M) of the pairs,
// whose masks' losses are dice (M). kinds (2,G) holds the objects' classes and whether they have pixels.
extern "C" __global__ void box_losses(const T* boxes, const long long* plan, const float* truths, const float* sizes,
                                      const long long* kinds, const T* dice, T* quality, T* sums, long long rows,
                                      long long proposals, long long pairs, long long objects) {
  Matches with(plan, gridDim.y, rows, pairs);
  long long row = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x, at = blockIdx.y * rows + row;
  long long m = row < rows ? with.pair[at] : -1;
  T l1 = 0, giou = 0;
  if (m >= 0) {
    long long g = with.truth[m];
    Pair p(boxes + 4 * at, truths + 4 * g, sizes + 2 * (row / proposals));
    l1 = p.l1();
    giou = T(1) - p.giou();
#if QUALITY == 1
    quality[m] = p.iou();
#elif QUALITY == 2
    quality[m] = kinds[objects + g] ? (T(1) - dice[m]) / (T(1) + dice[m]) : p.iou();
#endif
  }
  l1 = block_sum(l1);
  giou = block_sum(giou);
  if (threadIdx.x == 0) {
    T* to = sums + 2 * (static_cast<long long>(blockIdx.y) * gridDim.x + blockIdx.x);
    to[0] = l1, to[1] = giou;
  }
}

// One logit's share of the class loss, and its gradient.
struct Score {
  T loss = 0, slope = 0;

  __device__ Score(T x, T target, T alpha, T gamma) {
    T p = T(1) / (T(1) + exp(-x)), off = p - target, size = x < T(0) ? -x : x;
    loss = (x < T(0) ? T(0) : x) - x * target + log1p(exp(-size));
    slope = off;
#if FOCAL
    T far = off < T(0) ? -off : off, sign = off < T(0) ? T(-1) : off > T(0) ? T(1) : T(0);
    T share = QUALITY ? T(1) : target * (T(2) * alpha - T(1)) + (T(1) - alpha);
    T weight = share * (gamma == T(2) ? far * far : pow(far, gamma));
    T steep = gamma == T(0) ? T(0) : share * gamma * (gamma == T(2) ? far : pow(far, gamma - T(1))) * sign * p * (T(1) - p);
    slope = weight * off + loss * steep;
    loss *= weight;
#endif
  }
};

// target is what logit i of a stage learns. Without a pair it is 0.
__device__ T target(const Matches& with, const long long* kinds, const T* quality, long long stage, long long rows, long long i, long long classes) {
  long long m = with.pair[stage * rows + i / classes];
  if (m < 0 || kinds[with.truth[m]] != i % classes) return T(0);
  return QUALITY ? quality[m] : T(1);
}

// Writes the sums of the class loss of each block's logits, (S,gridDim.x).
extern "C" __global__ void class_losses(const T* logits, const long long* plan, const long long* kinds, const T* quality, T* sums,
                                        long long rows, long long classes, long long pairs, double alpha, double gamma) {
  Matches with(plan, gridDim.y, rows, pairs);
  long long stage = blockIdx.y, all = rows * classes;
  T sum = 0;
  for (long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x; i < all; i += static_cast<long long>(gridDim.x) * blockDim.x) {
    if (COLUMNS && !with.columns[stage * classes + i % classes]) continue;
    sum += Score(logits[stage * all + i], target(with, kinds, quality, stage, rows, i, classes), T(alpha), T(gamma)).loss;
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) sums[stage * gridDim.x + blockIdx.x] = sum;
}

// Writes the weighted losses of each stage, (S,4): classes, L1, 1 − GIoU, dice. One block per stage.
extern "C" __global__ void stage_terms(const T* class_sums, const T* box_sums, const T* dice, const long long* plan, T* terms,
                                       long long class_blocks, long long box_blocks, long long rows, long long pairs,
                                       double w0, double w1, double w2, double w3) {
  Matches with(plan, gridDim.y, rows, pairs);
  long long stage = blockIdx.y;
  T sums[4] = {};
  for (long long i = threadIdx.x; i < class_blocks; i += blockDim.x) sums[0] += class_sums[stage * class_blocks + i];
  for (long long i = threadIdx.x; i < box_blocks; i += blockDim.x) {
    sums[1] += box_sums[2 * (stage * box_blocks + i)];
    sums[2] += box_sums[2 * (stage * box_blocks + i) + 1];
  }
  for (long long i = with.first[stage] + threadIdx.x; i < with.first[stage + 1]; i += blockDim.x) sums[3] += dice[i];
  const double weights[4] = {w0, w1, w2, w3};
  for (int k = 0; k < 4; k++) {
    T sum = block_sum(sums[k]);
    if (threadIdx.x == 0) terms[4 * stage + k] = sum * T(weights[k]) / T(with.divisor[stage]);
  }
}

// Writes the gradients of boxes (S,rows,4) and of the pairs' dice losses (M), given the terms' gradients (S,4).
extern "C" __global__ void box_losses_backward(const T* boxes, const long long* plan, const float* truths, const float* sizes,
                                               const T* grad, T* dboxes, T* ddice, long long rows, long long proposals,
                                               long long pairs, double w1, double w2, double w3) {
  Matches with(plan, gridDim.y, rows, pairs);
  long long row = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x, stage = blockIdx.y, at = stage * rows + row;
  if (row >= rows) return;
  long long m = with.pair[at];
  T out[4] = {};
  if (m >= 0) {
    T divisor = T(with.divisor[stage]);
    const T* d = grad + 4 * stage;
    Pair p(boxes + 4 * at, truths + 4 * with.truth[m], sizes + 2 * (row / proposals));
    p.gradients(d[1] * T(w1) / divisor, -d[2] * T(w2) / divisor, out);
    ddice[m] = d[3] * T(w3) / divisor;
  }
  for (int k = 0; k < 4; k++) dboxes[4 * at + k] = out[k];
}

// Writes the gradient of the logits (S,rows,classes).
extern "C" __global__ void class_losses_backward(const T* logits, const long long* plan, const long long* kinds, const T* quality,
                                                 const T* grad, T* dlogits, long long rows, long long classes, long long pairs,
                                                 double alpha, double gamma, double w0) {
  Matches with(plan, gridDim.y, rows, pairs);
  long long stage = blockIdx.y, all = rows * classes;
  T up = grad[4 * stage] * T(w0) / T(with.divisor[stage]);
  for (long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x; i < all; i += static_cast<long long>(gridDim.x) * blockDim.x) {
    T slope = 0;
    if (!COLUMNS || with.columns[stage * classes + i % classes]) {
      slope = up * Score(logits[stage * all + i], target(with, kinds, quality, stage, rows, i, classes), T(alpha), T(gamma)).slope;
    }
    dlogits[stage * all + i] = slope;
  }
}
