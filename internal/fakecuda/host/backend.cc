// A GPU for LibTorch without one: tensors on cuda:0 lie in the host's memory, and operators on them are those
// of the CPU on the same memory, unless they mix devices as a GPU does not. Loaded before a program
// (LD_PRELOAD), it makes the program take the branches that it has for GPUs; what it copies and waits for can
// be counted. A tensor of more than FAKE_CUDA_LIMIT bytes is out of memory.
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/csrc/api/include/torch/version.h>
#include <torch/library.h>

#include <cstdlib>

namespace {

const c10::Device kGPU(c10::kCUDA, 0);

struct Guard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return c10::kCUDA; }
  c10::Device exchangeDevice(c10::Device) const override { return kGPU; }
  c10::Device getDevice() const override { return kGPU; }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::Stream getStream(c10::Device) const noexcept override { return c10::Stream(c10::Stream::DEFAULT, kGPU); }
  c10::Stream exchangeStream(c10::Stream) const noexcept override { return c10::Stream(c10::Stream::DEFAULT, kGPU); }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  void record(void**, const c10::Stream&, const c10::DeviceIndex, const c10::EventFlag) const override {}
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  void destroyEvent(void*, const c10::DeviceIndex) const noexcept override {}
  bool queryStream(const c10::Stream&) const override { return true; }
  void synchronizeStream(const c10::Stream&) const override {}
};

C10_REGISTER_GUARD_IMPL(CUDA, Guard);

struct CUDAHooks final : at::CUDAHooksInterface {
  explicit CUDAHooks(at::CUDAHooksArgs) {}
  void initCUDA() const {}
  bool hasCUDA() const override { return true; }
  c10::Allocator* getPinnedMemoryAllocator() const override { return c10::GetCPUAllocator(); }
  int64_t current_device() const { return 0; }
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 3)
  c10::DeviceIndex deviceCount() const override { return 1; }
#else
  int getNumGPUs() const override { return 1; }
#endif
};

using at::CUDAHooksRegistry;
using at::RegistererCUDAHooksRegistry;
C10_REGISTER_CLASS(CUDAHooksRegistry, CUDAHooks, CUDAHooks);

// on returns a tensor on another device over the same memory, which it keeps.
at::Tensor on(const at::Tensor& t, c10::Device device) {
  const auto& storage = t.storage();
  c10::DataPtr memory(const_cast<void*>(storage.data()), new at::Tensor(t), [](void* kept) { delete static_cast<at::Tensor*>(kept); }, device);
  c10::Storage over(c10::Storage::use_byte_size_t(), storage.nbytes(), std::move(memory), c10::GetCPUAllocator(), /*resizable=*/true);
  auto key = device.is_cpu() ? c10::DispatchKey::CPU : c10::DispatchKey::CUDA;
  auto out = at::detail::make_tensor<c10::TensorImpl>(std::move(over), c10::DispatchKeySet(key), t.dtype());
  out.unsafeGetTensorImpl()->set_storage_offset(t.storage_offset());
  out.unsafeGetTensorImpl()->set_sizes_and_strides(t.sizes(), t.strides());
  if (t.unsafeGetTensorImpl()->is_wrapped_number()) out.unsafeGetTensorImpl()->set_wrapped_number(true);
  return out;
}

// Borrowed are the tensors of one call, on the GPU and as the CPU sees them.
struct Borrowed {
  struct Pair {
    at::Tensor gpu, cpu;
  };
  std::vector<Pair> pairs;
  const char* name;
  bool strange = false;  // a tensor of the CPU that is not a number

  at::Tensor lower(const at::Tensor& t) {
    if (!t.defined()) return t;
    if (!t.is_cuda()) {
      strange |= t.dim() > 0;
      return t;
    }
    for (const auto& p : pairs) {
      if (p.gpu.is_same(t)) return p.cpu;
    }
    pairs.push_back({t, on(t, c10::kCPU)});
    return pairs.back().cpu;
  }

  at::Tensor raise(const at::Tensor& t) const {
    if (!t.defined()) return t;
    bool view = false;
    for (const auto& p : pairs) {
      if (p.cpu.is_same(t)) return p.gpu;
      view |= t.storage().unsafeGetStorageImpl() == p.cpu.storage().unsafeGetStorageImpl();
    }
    const char* limit = std::getenv("FAKE_CUDA_LIMIT");
    if (!view && limit != nullptr && *limit != 0 && t.nbytes() > std::strtoull(limit, nullptr, 10)) {
      TORCH_CHECK_WITH(OutOfMemoryError, false, "CUDA out of memory. Tried to allocate ", t.nbytes(), " bytes (fake GPU)");
    }
    return on(t, kGPU);
  }

  // settle takes over what an operator has resized.
  void settle() const {
    for (const auto& p : pairs) {
      if (p.cpu.sizes() == p.gpu.sizes() && p.cpu.strides() == p.gpu.strides() && p.cpu.storage().data() == p.gpu.storage().data()) continue;
      auto* to = p.gpu.unsafeGetTensorImpl();
      to->set_storage_keep_dtype(on(p.cpu, kGPU).storage());
      to->set_storage_offset(p.cpu.storage_offset());
      to->set_sizes_and_strides(p.cpu.sizes(), p.cpu.strides());
    }
  }
};

// each replaces every tensor in a value by what f makes of it.
template <typename F>
void each(c10::IValue& v, F f) {
  if (v.isTensor()) {
    v = f(v.toTensor());
  } else if (v.isTensorList()) {
    auto list = v.toTensorVector();
    for (auto& t : list) t = f(t);
    v = c10::IValue(std::move(list));
  } else if (v.isList() && v.toListRef().size() > 0) {
    bool tensors = true;
    for (const auto& e : v.toListRef()) tensors &= e.isTensor() || e.isNone();
    if (!tensors) return;
    c10::List<c10::optional<at::Tensor>> list;
    for (const auto& e : v.toListRef()) list.push_back(e.isNone() ? c10::optional<at::Tensor>() : c10::optional<at::Tensor>(f(e.toTensor())));
    v = c10::IValue(std::move(list));
  }
}

void fallback(const c10::OperatorHandle& op, c10::Stack* stack) {
  const auto& schema = op.schema();
  Borrowed b;
  size_t first = stack->size() - schema.arguments().size();
  for (size_t i = first; i < stack->size(); i++) {
    auto& v = (*stack)[i];
    if (v.isDevice()) {
      if (v.toDevice().is_cuda()) v = c10::IValue(c10::Device(c10::kCPU));
    } else {
      each(v, [&](const at::Tensor& t) { return b.lower(t); });
    }
  }
  TORCH_CHECK(!b.strange || b.pairs.empty(), "Expected all tensors to be on the same device, in ", schema.name());
  op.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), stack);
  b.settle();
  for (size_t i = stack->size() - schema.returns().size(); i < stack->size(); i++) {
    each((*stack)[i], [&](const at::Tensor& t) { return b.raise(t); });
  }
}

at::Tensor& copy(at::Tensor& self, const at::Tensor& from, bool) {
  auto host = [](const at::Tensor& t) { return t.is_cuda() ? on(t, c10::kCPU) : t; };
  host(self).copy_(host(from));
  return self;
}

}  // namespace

TORCH_LIBRARY_IMPL(_, CUDA, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&fallback>()); }

TORCH_LIBRARY_IMPL(aten, CUDA, m) { m.impl("copy_", TORCH_FN(copy)); }
