// Boxes x1 y1 x2 y2 on a GPU, one thread each; see boxes.hpp.

using T = SCALAR;

// Moves centres by deltas (dx, dy)/weight times the size, and scales sizes by exp of (dw, dh), which are at most growth.
extern "C" __global__ void apply_deltas(const T* boxes, const T* deltas, const T*, T* out, long long n, double weight, double growth) {
  long long r = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (r >= n) return;
  for (int axis = 0; axis < 2; axis++) {
    const T *box = boxes + 4 * r + axis, *delta = deltas + 4 * r + axis;
    T size = box[2] - box[0], grow = delta[2] > T(growth) ? T(growth) : delta[2];
    T centre = box[0] + size * T(0.5) + delta[0] / T(weight) * size, half = exp(grow) * size * T(0.5);
    out[4 * r + axis] = centre - half;
    out[4 * r + axis + 2] = centre + half;
  }
}

// Writes the gradient of the deltas, given that of the moved boxes.
extern "C" __global__ void apply_deltas_backward(const T* boxes, const T* deltas, const T* grad, T* out, long long n, double weight,
                                                 double growth) {
  long long r = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (r >= n) return;
  for (int axis = 0; axis < 2; axis++) {
    const T *box = boxes + 4 * r + axis, *delta = deltas + 4 * r + axis, *g = grad + 4 * r + axis;
    T size = box[2] - box[0];
    out[4 * r + axis] = (g[0] + g[2]) * size / T(weight);
    out[4 * r + axis + 2] = delta[2] <= T(growth) ? (g[2] - g[0]) * exp(delta[2]) * size * T(0.5) : T(0);
  }
}
