// The C interface apart from operators: handles, data, randomness, gradients, global settings.
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/multinomial.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/randperm.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "graph.h"
#include "shim.h"

namespace {

at::Generator& gen(di_generator g) { return *reinterpret_cast<at::Generator*>(g); }

constexpr size_t kPinned = 64 << 20;  // larger ones, such as weights, are not worth memory that stays locked

at::TensorOptions options(int dtype, int device) {
  return at::TensorOptions().dtype(static_cast<at::ScalarType>(dtype)).device(di::device(device));
}

}  // namespace

namespace di {

at::Tensor empty(at::IntArrayRef shape, const at::TensorOptions& options) { return at::empty(shape, options); }

at::Tensor zeros(at::IntArrayRef shape, const at::TensorOptions& options) { return at::zeros(shape, options); }

at::Tensor to_device(const at::Tensor& t, at::Device device) {
  if (t.device() != device) refuse_copy();
  if (!t.is_cpu() || device.is_cpu() || t.nbytes() > kPinned || t.requires_grad()) return t.to(device);
  auto pinned = at::empty(t.sizes(), t.options().pinned_memory(true));
  pinned.copy_(t);
  return pinned.to(device, t.scalar_type(), /*non_blocking=*/true);
}

at::Tensor to_host(const at::Tensor& t) {
  if (!t.is_cuda() || t.nbytes() > kPinned) return t.to(at::kCPU);
  refuse_copy();
  return at::empty(t.sizes(), t.options().device(at::kCPU).pinned_memory(true)).copy_(t);
}

}  // namespace di

void di_error_free(di_error* error) noexcept {
  if (error == nullptr) return;
  std::free(error->message);
  std::free(error);
}

di_tensor di_alias(di_tensor t) noexcept { return di::wrap(di::ref(t)); }

void di_free(const di_tensor* tensors, size_t n) noexcept {
  for (size_t i = 0; i < n; i++) delete reinterpret_cast<at::Tensor*>(tensors[i]);
}

int di_dim(di_tensor t) noexcept { return static_cast<int>(di::ref(t).dim()); }

void di_shape(di_tensor t, int64_t* shape) noexcept {
  auto sizes = di::ref(t).sizes();
  std::copy(sizes.begin(), sizes.end(), shape);
}

int di_dtype(di_tensor t) noexcept { return static_cast<int>(di::ref(t).scalar_type()); }

int di_device(di_tensor t) noexcept {
  auto d = di::ref(t).device();
  return d.is_cpu() ? -1 : d.index();
}

int64_t di_changes(di_tensor t) noexcept { return di::ref(t).unsafeGetTensorImpl()->version_counter().current_version(); }

bool di_is_channels_last(di_tensor t) noexcept {
  return di::ref(t).is_contiguous(at::MemoryFormat::ChannelsLast);
}

di_result1 di_from_bytes(const void* data, size_t bytes, const int64_t* shape, size_t dims, int dtype,
                         int device) noexcept {
  return di::call1([&] {
    if (device >= 0) di::refuse_copy();
    // In memory that the GPU reads by itself; see di::to_device.
    auto t = at::empty(at::IntArrayRef(shape, dims), options(dtype, -1).pinned_memory(device >= 0 && bytes <= kPinned));
    TORCH_CHECK(t.nbytes() == bytes, "the shape needs ", t.nbytes(), " bytes but the data has ", bytes);
    // An empty tensor has no address, which memcpy does not take even for 0 bytes.
    if (bytes > 0) std::memcpy(t.data_ptr(), data, bytes);
    return device < 0 ? t : t.to(di::device(device), t.scalar_type(), /*non_blocking=*/true);
  });
}

di_error* di_to_bytes(di_tensor t, void* data, size_t bytes) noexcept {
  return di::guard([&] {
    if (di::ref(t).is_cuda()) di::refuse_copy();
    auto c = di::to_host(di::ref(t).detach().contiguous());
    TORCH_CHECK(c.nbytes() == bytes, "the tensor has ", c.nbytes(), " bytes but the buffer ", bytes);
    if (bytes > 0) std::memcpy(data, c.data_ptr(), bytes);
  });
}

di_result1 di_empty(const int64_t* shape, size_t dims, int dtype, int device) noexcept {
  return di::call1([&] { return at::empty(at::IntArrayRef(shape, dims), options(dtype, device)); });
}

di_result1 di_full(const int64_t* shape, size_t dims, double value, int dtype, int device) noexcept {
  return di::call1([&] { return at::full(at::IntArrayRef(shape, dims), value, options(dtype, device)); });
}

di_result1 di_arange(double start, double end, double step, int dtype, int device) noexcept {
  return di::call1([&] { return at::arange(start, end, step, options(dtype, device)); });
}

di_result1 di_to_device(di_tensor t, int device) noexcept {
  return di::call1([&] { return di::to_device(di::ref(t), di::device(device)); });
}

di_generator di_generator_new(uint64_t seed) noexcept {
  return reinterpret_cast<di_generator>(new at::Generator(at::detail::createCPUGenerator(seed)));
}

void di_generator_free(di_generator g) noexcept { delete reinterpret_cast<at::Generator*>(g); }

di_result1 di_generator_state(di_generator g) noexcept {
  return di::call1([&] { return gen(g).get_state(); });
}

di_error* di_generator_set_state(di_generator g, di_tensor state) noexcept {
  return di::guard([&] { gen(g).set_state(di::ref(state)); });
}

di_result1 di_randn(di_generator g, const int64_t* shape, size_t dims, int dtype) noexcept {
  return di::call1([&] { return at::randn(at::IntArrayRef(shape, dims), gen(g), options(dtype, -1)); });
}

di_result1 di_rand(di_generator g, const int64_t* shape, size_t dims, int dtype) noexcept {
  return di::call1([&] { return at::rand(at::IntArrayRef(shape, dims), gen(g), options(dtype, -1)); });
}

di_result1 di_randint(di_generator g, int64_t low, int64_t high, const int64_t* shape, size_t dims) noexcept {
  return di::call1(
      [&] { return at::randint(low, high, at::IntArrayRef(shape, dims), gen(g), at::TensorOptions(at::kLong)); });
}

di_result1 di_randperm(di_generator g, int64_t n) noexcept {
  return di::call1([&] { return at::randperm(n, gen(g), at::TensorOptions(at::kLong)); });
}

di_result1 di_multinomial(di_generator g, di_tensor weights, int64_t n) noexcept {
  return di::call1([&] { return at::multinomial(di::ref(weights), n, /*replacement=*/false, gen(g)); });
}

bool di_grad_enabled() noexcept { return c10::GradMode::is_enabled(); }

void di_set_grad_enabled(bool enabled) noexcept { c10::GradMode::set_enabled(enabled); }

bool di_requires_grad(di_tensor t) noexcept { return di::ref(t).requires_grad(); }

di_error* di_set_requires_grad(di_tensor t, bool requires_grad) noexcept {
  return di::guard([&] { di::ref(t).set_requires_grad(requires_grad); });
}

di_error* di_backward(di_tensor t) noexcept {
  return di::guard([&] { di::ref(t).backward(); });
}

di_result1 di_grad(di_tensor t) noexcept {
  di_result1 r{};
  r.error = di::guard([&] {
    auto g = di::ref(t).grad();
    if (g.defined()) r.a = di::wrap(g);
  });
  return r;
}

void di_clear_grad(di_tensor t) noexcept {
  auto& g = di::ref(t).mutable_grad();
  if (g.defined()) g.reset();
}

const char* di_version() noexcept { return TORCH_VERSION; }

int di_cuda_devices() noexcept {
  try {
    return at::hasCUDA() ? at::detail::getCUDAHooks().DI_DEVICE_COUNT() : 0;
  } catch (...) {
    return 0;
  }
}

void di_allow_tf32(bool allow) noexcept {
  at::globalContext().setAllowTF32CuDNN(allow);
  at::globalContext().setAllowTF32CuBLAS(allow);
}

void di_benchmark_cudnn(bool on) noexcept { at::globalContext().setBenchmarkCuDNN(on); }

int di_threads() noexcept { return at::get_num_threads(); }

void di_share_threads(int n) noexcept {
  // LibTorch's first call in a thread sets its default, which would undo n. So does the first in this
  // module's kernels, whose copy of LibTorch's inline functions may remember it apart (2.6 does).
  at::get_num_threads();
  at::parallel_for(0, 1, 1, [](int64_t, int64_t) {});
#ifdef _OPENMP
  omp_set_num_threads(n);
#endif
}
