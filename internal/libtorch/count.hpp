// Counts what LibTorch does: tests bound it, and bench compares its time with what the arithmetic
// alone would take.

#include "count.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>
#include <ATen/record_function.h>

#include <cstring>
#include <memory>
#include <mutex>

#include "kernels.h"

namespace di {

std::atomic<int64_t> counted_bytes{0}, counted_flop{0}, counted_launches{0};

}  // namespace di

namespace {

std::atomic<int64_t> operators{0}, layouts{0}, started{0}, transfers{0}, waits{0};
thread_local int depth = 0, products = 0;  // of operators within operators
thread_local int64_t works = 0;            // operators of this thread that started work on a GPU

// Products by the place of the input whose shape says how many terms each element of the result has.
struct Product {
  const char* name;
  size_t input;
  bool weight;  // (out, …): one row of it per element; else its last dimension
};
constexpr Product kProducts[] = {
    {"aten::linear", 1, true},       {"aten::conv2d", 1, true},      {"aten::convolution", 1, true},
    {"aten::_convolution", 1, true}, {"aten::mkldnn_convolution", 1, true}, {"aten::cudnn_convolution", 1, true},
    {"aten::cudnn_convolution_relu", 1, true}, {"aten::cudnn_convolution_add_relu", 1, true}, {"aten::_addmm_activation", 1, false},
    {"aten::matmul", 0, false},      {"aten::mm", 0, false},         {"aten::bmm", 0, false},
    {"aten::addmm", 1, false},       {"aten::baddbmm", 1, false},    {"aten::mv", 0, false},
};

const at::Tensor* tensor(c10::ArrayRef<const c10::IValue> inputs, size_t i) {
  return i < inputs.size() && inputs[i].isTensor() && inputs[i].toTensor().defined() ? &inputs[i].toTensor() : nullptr;
}

// terms returns how many products are added up for an element of the result, 0 for other operators.
int64_t terms(const char* name, c10::ArrayRef<const c10::IValue> inputs) {
  for (const auto& p : kProducts) {
    if (std::strcmp(name, p.name) != 0) continue;
    const auto* t = tensor(inputs, p.input);
    if (t == nullptr || t->dim() == 0 || t->numel() == 0) return 0;
    return p.weight ? t->numel() / t->size(0) : t->size(-1);
  }
  return 0;
}

// expanded reports whether a tensor repeats its elements, as a bias does before it is added to.
bool expanded(const at::Tensor& t) {
  for (int64_t i = 0; i < t.dim(); i++) {
    if (t.stride(i) == 0 && t.size(i) > 1) return true;
  }
  return false;
}

// reorders reports whether an operator copies a tensor into another order of memory.
bool reorders(const char* name, c10::ArrayRef<const c10::IValue> inputs) {
  const auto *a = tensor(inputs, 0), *b = tensor(inputs, 1);
  if (a == nullptr || b == nullptr) return false;
  if (std::strcmp(name, "aten::copy_") == 0) {
    return a->numel() > 1 && a->sizes() == b->sizes() && a->strides() != b->strides() && !expanded(*b);
  }
  return std::strcmp(name, "aten::mkldnn_convolution") == 0 && !a->is_contiguous(at::MemoryFormat::ChannelsLast);
}

// crosses reports whether an operator copies between two devices.
bool crosses(const char* name, c10::ArrayRef<const c10::IValue> inputs) {
  const auto *a = tensor(inputs, 0), *b = tensor(inputs, 1);
  return std::strcmp(name, "aten::copy_") == 0 && a != nullptr && b != nullptr && a->device() != b->device();
}

// Operators that read a GPU's memory to know the shape or the value of their result.
constexpr const char* kReads[] = {"aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select",
                                  "aten::unique_dim", "aten::_unique2", "aten::equal"};

// blocks reports whether the host waits for a GPU in an operator.
bool blocks(const char* name, c10::ArrayRef<const c10::IValue> inputs) {
  if (crosses(name, inputs)) return !(inputs.size() > 2 && inputs[2].isBool() && inputs[2].toBool());
  const auto* a = tensor(inputs, 0);
  if (a == nullptr || !a->is_cuda()) return false;
  for (const char* read : kReads) {
    if (std::strcmp(name, read) == 0) return true;
  }
  return false;
}

// memory is where a tensor's storage begins, which views share. An empty one has its storage's own address.
const void* memory(const at::Tensor& t) {
  const void* data = t.storage().data();
  return data != nullptr ? data : t.storage().unsafeGetStorageImpl();
}

struct Call final : at::ObserverContext {
  int64_t terms = 0;
  const void* memory = nullptr;  // of the first tensor on a GPU
  int64_t works = 0;                         // before the call
};

// worked reports whether an operator on a GPU started work itself: none that it called did, and it neither
// returned a view nor only reserved memory. Autograd's detach tells no results.
bool worked(const Call& call, const at::RecordFunction& f) {
  if (call.memory == nullptr || call.works != works) return false;
  if (std::strncmp(f.name(), "aten::empty", 11) == 0 || std::strcmp(f.name(), "detach") == 0) return false;
  size_t length = std::strlen(f.name());
  if (f.name()[length - 1] == '_') return true;
  const auto* out = f.outputs().empty() || !f.outputs()[0].isTensor() ? nullptr : &f.outputs()[0].toTensor();
  return out == nullptr || !out->defined() || memory(*out) != call.memory;
}

std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction& f) {
  auto call = std::make_unique<Call>();
  if (depth++ == 0) operators++;
  if (reorders(f.name(), f.inputs())) layouts++;
  if (crosses(f.name(), f.inputs())) transfers++;
  if (blocks(f.name(), f.inputs())) waits++;
  call->works = works;
  for (size_t i = 0; i < f.inputs().size() && call->memory == nullptr; i++) {
    const auto* t = tensor(f.inputs(), i);
    if (t == nullptr && f.inputs()[i].isTensorList() && f.inputs()[i].toListRef().size() > 0) {
      const auto& first = f.inputs()[i].toListRef()[0];
      t = first.isTensor() ? &first.toTensor() : nullptr;
    }
    if (t != nullptr && t->defined() && t->is_cuda()) call->memory = memory(*t);
  }
  call->terms = terms(f.name(), f.inputs());
  if (call->terms > 0) products++;
  return call;
}

void end(const at::RecordFunction& f, at::ObserverContext* context) {
  auto* call = static_cast<Call*>(context);
  if (call == nullptr) return;
  depth--;
  if (worked(*call, f)) works++, started++;
  if (call->terms == 0 || --products > 0) return;
  for (const auto& out : f.outputs()) {
    if (out.isTensor() && out.toTensor().defined()) di::counted_flop += 2 * call->terms * out.toTensor().numel();
  }
}

}  // namespace

void di_count(bool on) noexcept {
  static std::mutex mutex;
  static int users = 0;
  static at::CallbackHandle handle = 0;
  std::lock_guard<std::mutex> lock(mutex);
  users += on ? 1 : -1;
  if (on && users == 1) {
    handle = at::addGlobalCallback(at::RecordFunctionCallback(begin, end)
                                       .needsInputs(true)
                                       .needsOutputs(true)
                                       .scopes({at::RecordScope::FUNCTION}));
  } else if (!on && users == 0) {
    at::removeCallback(handle);
  }
}

di_counts di_counted() noexcept {
  return {operators, layouts, di::counted_bytes, di::counted_flop, di::counted_launches, started, transfers, waits};
}
