// A GPU for LibTorch without one: tensors on cuda:0 lie in the host's memory, and operators on them are those
// of the CPU on the same memory, unless they mix devices as a GPU does not. Loaded before a program
// (LD_PRELOAD), it makes the program take the branches that it has for GPUs; what it copies and waits for can
// be counted. CUDA graphs are in graph.h. What it computes of float16 and bfloat16 alone is computed in float32 and rounded, as on a GPU. A tensor
// of more than FAKE_CUDA_LIMIT bytes is out of memory; with FAKE_CUDNN_REFUSES cuDNN has no convolution with a ReLU.
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/conv2d.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/csrc/api/include/torch/version.h>
#include <torch/library.h>

#include <condition_variable>
#include <cstdlib>
#include <map>
#include <mutex>

#include "graph.h"

namespace {

const c10::Device kGPU(c10::kCUDA, 0);

// A Mark is a place in the work that a stream has been given by others than this GPU, which works at once.
struct Mark {
  c10::StreamId stream;
  int64_t number;
};

// Background is what others, such as the fake NCCL, do in streams meanwhile.
class Background {
 public:
  void begin(c10::StreamId s) { change(begun_, s); }
  void end(c10::StreamId s) { change(ended_, s); }

  Mark mark(c10::StreamId s) {
    std::lock_guard<std::mutex> lock(mutex_);
    return {s, begun_[s]};
  }

  bool past(const Mark& m) {
    std::lock_guard<std::mutex> lock(mutex_);
    return ended_[m.stream] >= m.number;
  }

  void wait(const Mark& m) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return ended_[m.stream] >= m.number; });
  }

 private:
  void change(std::map<c10::StreamId, int64_t>& numbers, c10::StreamId s) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      numbers[s]++;
    }
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<c10::StreamId, int64_t> begun_, ended_;
};

Background& background() {
  static auto* b = new Background;
  return *b;
}

struct Guard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return c10::kCUDA; }
  c10::Device exchangeDevice(c10::Device) const override { return kGPU; }
  c10::Device getDevice() const override { return kGPU; }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::Stream getStream(c10::Device) const noexcept override { return c10::Stream(c10::Stream::UNSAFE, kGPU, fake::current_stream); }
  c10::Stream exchangeStream(c10::Stream s) const noexcept override {
    return c10::Stream(c10::Stream::UNSAFE, kGPU, std::exchange(fake::current_stream, s.id()));
  }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  void record(void** event, const c10::Stream& s, const c10::DeviceIndex, const c10::EventFlag) const override {
    delete static_cast<Mark*>(*event);
    *event = new Mark(background().mark(s.id()));
  }
  void block(void* event, const c10::Stream&) const override {
    if (event != nullptr) background().wait(*static_cast<Mark*>(event));
  }
  bool queryEvent(void* event) const override { return event == nullptr || background().past(*static_cast<Mark*>(event)); }
  void destroyEvent(void* event, const c10::DeviceIndex) const noexcept override { delete static_cast<Mark*>(event); }
  bool queryStream(const c10::Stream&) const override { return true; }
  void synchronizeStream(const c10::Stream&) const override { fake::refuse("a synchronisation"); }
};

C10_REGISTER_GUARD_IMPL(CUDA, Guard);

struct CUDAHooks final : at::CUDAHooksInterface {
  explicit CUDAHooks(at::CUDAHooksArgs) {}
  void initCUDA() const {}
  bool hasCUDA() const override { return true; }
  bool hasCuDNN() const override { return true; }
  c10::Allocator* getPinnedMemoryAllocator() const override { return c10::GetCPUAllocator(); }
  int64_t current_device() const { return 0; }
  bool hasPrimaryContext(int64_t) const { return true; }
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 3)
  c10::DeviceIndex deviceCount() const override { return 1; }
#else
  int getNumGPUs() const override { return 1; }
#endif
};

using at::CUDAHooksRegistry;
using at::RegistererCUDAHooksRegistry;
C10_REGISTER_CLASS(CUDAHooksRegistry, CUDAHooks, CUDAHooks);

// over returns a tensor on a device that is to a storage what t is to its own.
at::Tensor over(c10::Storage storage, const at::Tensor& t, c10::Device device) {
  auto key = device.is_cpu() ? c10::DispatchKey::CPU : c10::DispatchKey::CUDA;
  auto out = at::detail::make_tensor<c10::TensorImpl>(std::move(storage), c10::DispatchKeySet(key), t.dtype());
  out.unsafeGetTensorImpl()->set_storage_offset(t.storage_offset());
  out.unsafeGetTensorImpl()->set_sizes_and_strides(t.sizes(), t.strides());
  if (t.unsafeGetTensorImpl()->is_wrapped_number()) out.unsafeGetTensorImpl()->set_wrapped_number(true);
  return out;
}

// on returns a tensor on another device over the same memory, which it keeps.
at::Tensor on(const at::Tensor& t, c10::Device device) {
  const auto& storage = t.storage();
  c10::DataPtr memory(const_cast<void*>(storage.data()), new at::Tensor(t), [](void* kept) { delete static_cast<at::Tensor*>(kept); }, device);
  return over(c10::Storage(c10::Storage::use_byte_size_t(), storage.nbytes(), std::move(memory), c10::GetCPUAllocator(), /*resizable=*/true), t, device);
}

bool low(const at::Tensor& t) { return t.scalar_type() == at::kHalf || t.scalar_type() == at::kBFloat16; }

// Borrowed are the tensors of one call, on the GPU and as the CPU sees them.
struct Borrowed {
  struct Pair {
    at::Tensor gpu, cpu;
    at::Tensor memory;  // where cpu is to be written back, if it holds the same numbers in float32
  };
  std::vector<Pair> pairs;
  bool strange = false;                             // a tensor of the CPU that is not a number
  at::ScalarType rounded = at::ScalarType::Undefined;  // type of results that are computed in float32

  at::Tensor lower(const at::Tensor& t, bool written) {
    if (!t.defined()) return t;
    if (!t.is_cuda()) {
      strange |= t.dim() > 0;
      return t;
    }
    for (auto& p : pairs) {
      if (!p.gpu.is_same(t)) continue;
      if (written && p.cpu.scalar_type() != t.scalar_type()) p.memory = on(t, c10::kCPU);
      return p.cpu;
    }
    auto cpu = on(t, c10::kCPU), memory = at::Tensor();
    if (rounded != at::ScalarType::Undefined && low(t)) {
      if (written) memory = cpu;
      cpu = cpu.to(at::kFloat);
    }
    pairs.push_back({t, cpu, memory});
    return cpu;
  }

  at::Tensor raise(at::Tensor t, bool round) const {
    if (!t.defined()) return t;
    for (const auto& p : pairs) {
      if (p.cpu.is_same(t)) return p.gpu;
      bool view = t.storage().unsafeGetStorageImpl() == p.cpu.storage().unsafeGetStorageImpl();
      if (view && t.scalar_type() == p.gpu.scalar_type()) return over(p.gpu.storage(), t, kGPU);
    }
    if (round && rounded != at::ScalarType::Undefined && t.scalar_type() == at::kFloat) t = t.to(rounded);
    const char* limit = std::getenv("FAKE_CUDA_LIMIT");
    if (!fake::replaying && limit != nullptr && *limit != 0 && t.nbytes() > std::strtoull(limit, nullptr, 10)) {
      TORCH_CHECK_WITH(OutOfMemoryError, false, "CUDA out of memory. Tried to allocate ", t.nbytes(), " bytes (fake GPU)");
    }
    return on(t, kGPU);
  }

  // settle takes over what an operator has written or resized.
  void settle() const {
    for (const auto& p : pairs) {
      if (p.memory.defined() && p.memory.sizes() == p.cpu.sizes()) p.memory.copy_(p.cpu);
      auto cpu = p.memory.defined() && p.memory.sizes() != p.cpu.sizes() ? p.cpu.to(p.gpu.scalar_type()) : p.cpu;
      if (cpu.scalar_type() != p.gpu.scalar_type()) continue;
      if (cpu.sizes() == p.gpu.sizes() && cpu.strides() == p.gpu.strides() && cpu.storage().data() == p.gpu.storage().data()) continue;
      auto* to = p.gpu.unsafeGetTensorImpl();
      to->set_storage_keep_dtype(on(cpu, kGPU).storage());
      to->set_storage_offset(cpu.storage_offset());
      to->set_sizes_and_strides(cpu.sizes(), cpu.strides());
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

// rounded returns the type of a call's results that are computed in float32 and rounded: that of its inputs, if
// all of them are of few bits. Views and changes of shape are not computed.
at::ScalarType rounded(const c10::FunctionSchema& schema, const std::vector<c10::IValue>& arguments) {
  auto type = at::ScalarType::Undefined;
  if (schema.name() == "aten::resize_") return type;
  for (const auto& r : schema.returns()) {
    if (r.alias_info() != nullptr && !r.alias_info()->isWrite()) return type;
  }
  bool all = true;
  for (auto v : arguments) {
    each(v, [&](const at::Tensor& t) {
      if (!t.defined() || !t.is_cuda() || !at::isFloatingType(t.scalar_type())) return t;
      if (low(t)) {
        type = t.scalar_type();
      } else if (t.dim() > 0) {
        all = false;
      }
      return t;
    });
  }
  return all ? type : at::ScalarType::Undefined;
}

void compute(const c10::OperatorHandle& op, c10::Stack* stack) {
  const auto& schema = op.schema();
  Borrowed b;
  size_t n = schema.arguments().size(), first = stack->size() - n;
  b.rounded = rounded(schema, {stack->begin() + first, stack->end()});
  bool round = true;  // unless the call gives the type of its results
  for (size_t i = 0; i < n; i++) {
    auto& v = (*stack)[first + i];
    const auto& argument = schema.arguments()[i];
    round &= argument.name() != "dtype" || v.isNone();
    if (v.isDevice()) {
      if (v.toDevice().is_cuda()) v = c10::IValue(c10::Device(c10::kCPU));
    } else {
      bool written = argument.alias_info() != nullptr && argument.alias_info()->isWrite();
      each(v, [&](const at::Tensor& t) { return b.lower(t, written); });
    }
  }
  TORCH_CHECK(!b.strange || b.pairs.empty(), "Expected all tensors to be on the same device, in ", schema.name());
  op.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), stack);
  b.settle();
  for (size_t i = stack->size() - schema.returns().size(); i < stack->size(); i++) {
    each((*stack)[i], [&](const at::Tensor& t) { return b.raise(t, round); });
  }
}

// fill writes the values of a tensor into another's memory.
void fill(const at::Tensor& to, const at::Tensor& from) {
  if (to.defined() && from.defined() && to.storage().data() != from.storage().data()) on(to, c10::kCPU).copy_(on(from, c10::kCPU));
}

// tensors are those in values.
std::vector<at::Tensor> tensors(const std::vector<c10::IValue>& values) {
  std::vector<at::Tensor> out;
  for (auto v : values) {
    each(v, [&](const at::Tensor& t) {
      out.push_back(t);
      return t;
    });
  }
  return out;
}

// Operators that read a GPU's memory to know their result.
constexpr const char* kReads[] = {"aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::unique_dim", "aten::_unique2", "aten::equal"};

// record keeps an operator that was called with arguments and gave results.
void record(const c10::OperatorHandle& op, const std::vector<c10::IValue>& arguments, const std::vector<c10::IValue>& results) {
  auto given = tensors(arguments), made = tensors(results);
  for (const auto& t : made) {
    if (!t.defined()) continue;
    bool fresh = true;
    for (const auto& g : given) fresh &= !g.defined() || g.storage().data() != t.storage().data();
    if (fresh) fake::recording()->memory.push_back(t);
  }
  if (op.schema().name().rfind("aten::empty", 0) == 0) return;
  fake::recording()->work.push_back([op, arguments, made] {
    c10::Stack again = arguments;
    compute(op, &again);
    auto values = tensors(again);
    for (size_t i = 0; i < made.size(); i++) fill(made[i], values[i]);
  });
}

// keep remembers what a tensor holds that a recording is about to write to, if the recording has not made it.
void keep(const at::Tensor& t) {
  if (!t.defined() || !t.is_cuda()) return;
  for (const auto& m : fake::recording()->memory) {
    if (m.storage().data() == t.storage().data()) return;
  }
  auto memory = on(t, c10::kCPU);
  auto before = memory.clone();
  auto& undo = fake::recording()->undo;
  undo.insert(undo.begin(), [memory, before]() mutable { memory.copy_(before); });
}

// Operators that write to arguments, running statistics, without saying so.
constexpr const char* kWrites[] = {"aten::native_batch_norm"};

void keep_written(const c10::OperatorHandle& op, const std::vector<c10::IValue>& arguments) {
  bool silent = false;
  for (const char* name : kWrites) silent |= op.schema().name() == name;
  for (size_t i = 0; i < arguments.size(); i++) {
    const auto& argument = op.schema().arguments()[i];
    bool written = argument.alias_info() != nullptr && argument.alias_info()->isWrite();
    if (!written && !(silent && argument.name().rfind("running_", 0) == 0)) continue;
    for (const auto& t : tensors({arguments[i]})) keep(t);
  }
}

void fallback(const c10::OperatorHandle& op, c10::Stack* stack) {
  if (fake::recording() == nullptr) return compute(op, stack);
  for (const char* read : kReads) {
    if (op.schema().name() == read) fake::refuse(read);
  }
  std::vector<c10::IValue> arguments(stack->end() - op.schema().arguments().size(), stack->end());
  keep_written(op, arguments);
  compute(op, stack);
  record(op, arguments, {stack->end() - op.schema().returns().size(), stack->end()});
}

// host returns what the CPU sees of a tensor, in float32 if it has few bits.
at::Tensor host(const at::Tensor& t) {
  auto out = on(t, c10::kCPU);
  return low(t) ? out.to(at::kFloat) : out;
}

at::Tensor computed(const at::Tensor& x, const at::Tensor& weight, const c10::optional<at::Tensor>& bias, at::IntArrayRef stride,
                    at::IntArrayRef padding, at::IntArrayRef dilation, int64_t groups, const at::Tensor& z) {
  const char* refuses = std::getenv("FAKE_CUDNN_REFUSES");
  TORCH_CHECK(refuses == nullptr || *refuses == 0, "cuDNN error: CUDNN_STATUS_NOT_SUPPORTED (fake GPU)");
  TORCH_CHECK(x.is_cuda() && weight.is_cuda() && x.scalar_type() == weight.scalar_type() && (!z.defined() || z.is_cuda()));
  c10::optional<at::Tensor> b;
  if (bias && bias->defined()) b = host(*bias);
  auto y = at::conv2d(host(x), host(weight), b, stride, padding, dilation, groups);
  if (z.defined()) y.add_(host(z));
  return on(y.relu_().to(x.scalar_type()), kGPU);
}

at::Tensor convolution_relu(const at::Tensor& x, const at::Tensor& weight, const c10::optional<at::Tensor>& bias, at::IntArrayRef stride,
                            at::IntArrayRef padding, at::IntArrayRef dilation, int64_t groups, const at::Tensor& z = {}) {
  auto out = computed(x, weight, bias, stride, padding, dilation, groups, z);
  if (fake::recording() != nullptr) {
    fake::recording()->memory.push_back(out);
    auto s = stride.vec(), p = padding.vec(), d = dilation.vec();
    fake::recording()->work.push_back([=] { fill(out, computed(x, weight, bias, s, p, d, groups, z)); });
  }
  return out;
}

at::Tensor convolution_relu_alone(const at::Tensor& x, const at::Tensor& weight, const c10::optional<at::Tensor>& bias, at::IntArrayRef stride,
                                  at::IntArrayRef padding, at::IntArrayRef dilation, int64_t groups) {
  return convolution_relu(x, weight, bias, stride, padding, dilation, groups);
}

at::Tensor convolution_add_relu(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& z, const c10::optional<at::Scalar>&,
                                const c10::optional<at::Tensor>& bias, at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation,
                                int64_t groups) {
  return convolution_relu(x, weight, bias, stride, padding, dilation, groups, z);
}

at::Tensor& copy(at::Tensor& self, const at::Tensor& from, bool) {
  if (!self.is_cuda() || !from.is_cuda()) fake::refuse("a copy between host and device");
  auto copied = [](const at::Tensor& to, const at::Tensor& from) {
    auto memory = [](const at::Tensor& t) { return t.is_cuda() ? on(t, c10::kCPU) : t; };
    memory(to).copy_(memory(from));
  };
  if (fake::recording() != nullptr) keep(self);
  copied(self, from);
  if (fake::recording() != nullptr) fake::recording()->work.push_back([=] { copied(self, from); });
  return self;
}

}  // namespace

// Called by nccl.cc, for work in a stream.
extern "C" __attribute__((visibility("default"))) void fake_cuda_stream_begin(void* s) { background().begin(reinterpret_cast<c10::StreamId>(s)); }
extern "C" __attribute__((visibility("default"))) void fake_cuda_stream_end(void* s) { background().end(reinterpret_cast<c10::StreamId>(s)); }

TORCH_LIBRARY_IMPL(_, CUDA, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&fallback>()); }

TORCH_LIBRARY_IMPL(aten, CUDA, m) {
  m.impl("copy_", TORCH_FN(copy));
  m.impl("cudnn_convolution_relu", TORCH_FN(convolution_relu_alone));
  m.impl("cudnn_convolution_add_relu", TORCH_FN(convolution_add_relu));
}
