// Gradients of a GPU in buckets, which are given to others, such as NCCL, while the backward pass goes on (Li et al. 2020,
// PyTorch Distributed). All processes have the same parameters and therefore give the same buckets in the same order.
#include <ATen/ops/cat.h>
#include <ATen/ops/empty_like.h>
#include <c10/core/Event.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <cstdlib>
#include <memory>
#include <mutex>

#include "gpu.h"
#include "kernels.h"
#include "shim.h"
#include "stream.h"

// In buckets.go. diBucketsSum returns a message to be released by free().
extern "C" {
char* diBucketsSum(uintptr_t function, uintptr_t address, size_t n, int64_t stream);
void diBucketsForget(uintptr_t function);
}

struct di_buckets_s {
  using Accumulator = decltype(torch::autograd::impl::grad_accumulator(std::declval<at::Tensor&>()));

  struct Member {
    at::Tensor parameter;
    Accumulator node;  // which the parameter itself does not keep
    uintptr_t hook = 0;
    size_t bucket = 0;
    int64_t at = 0;  // place in it
    bool ready = false;
  };

  struct Bucket {
    std::vector<size_t> members;
    at::Tensor memory;
    size_t missing = 0;
  };

  std::mutex mutex;
  std::vector<Member> members;  // by parameter; those that do not learn have no node
  std::vector<Bucket> buckets;
  at::Tensor zeros;
  int device = 0;
  int64_t stream = 0;
  c10::Event done{c10::kCUDA};
  uintptr_t sum = 0;
  bool armed = false;
  size_t next = 0;  // bucket to be given
  std::string failed;

  ~di_buckets_s() {
    for (auto& m : members) {
      if (m.node) m.node->del_post_hook(m.hook);
    }
    if (sum != 0) diBucketsForget(sum);
  }

  // give hands the next bucket over, whatever happens: others wait for it.
  void give() {
    auto& b = buckets[next++];
    try {
      c10::AutoGradMode off(false);
      std::vector<at::Tensor> parts;
      for (size_t i : b.members) {
        const auto& g = members[i].parameter.grad();
        parts.push_back(g.defined() ? g.reshape({-1}) : zeros.narrow(0, 0, members[i].parameter.numel()));
      }
      at::cat_out(b.memory, parts, 0);
    } catch (const std::exception& e) {
      fail(e.what());
    }
    auto own = di::stream(device, stream);
    di::follow(own, di::current_stream(device));
    char* message = diBucketsSum(sum, reinterpret_cast<uintptr_t>(b.memory.data_ptr()), b.memory.numel(), stream);
    std::unique_ptr<char, decltype(&std::free)> owner(message, std::free);
    if (message != nullptr) fail(message);
    done.record(own);
  }

  void fail(const char* message) {
    if (failed.empty()) failed = message;
  }

  void ready(size_t i) {
    std::lock_guard<std::mutex> lock(mutex);
    auto& m = members[i];
    if (!armed || m.ready) return;
    m.ready = true;
    buckets[m.bucket].missing--;
    try {
      while (next < buckets.size() && buckets[next].missing == 0) give();
    } catch (const std::exception& e) {
      fail(e.what());
    }
  }
};

namespace {

struct Hook : torch::autograd::FunctionPostHook {
  di_buckets buckets;
  size_t member;

  Hook(di_buckets b, size_t i) : buckets(b), member(i) {}

  torch::autograd::variable_list operator()(const torch::autograd::variable_list& outputs, const torch::autograd::variable_list&) override {
    buckets->ready(member);
    return outputs;
  }
};

}  // namespace

di_error* di_buckets_new(const di_tensor* parameters, size_t n, int64_t bytes, uintptr_t sum, di_buckets* out) noexcept {
  return di::guard([&] {
    auto b = std::make_unique<di_buckets_s>();
    c10::AutoGradMode on(true);
    for (size_t i = 0; i < n; i++) b->members.push_back({di::ref(parameters[i])});
    int64_t at = 0, most = 0;  // elements of the last bucket, and of the largest parameter
    at::TensorOptions options;
    for (size_t i = n; i-- > 0;) {
      auto& m = b->members[i];
      if (!m.parameter.requires_grad()) continue;
      auto like = at::TensorOptions(m.parameter.scalar_type()).device(m.parameter.device());
      if (b->buckets.empty()) options = like;
      TORCH_CHECK(m.parameter.is_cuda() && like.device() == options.device() && like.dtype() == options.dtype(),
                  "buckets are for parameters of one type, on one GPU");
      int64_t size = m.parameter.numel();
      if (b->buckets.empty() || (at + size) * static_cast<int64_t>(m.parameter.element_size()) > bytes) {
        b->buckets.emplace_back();
        at = 0;
      }
      m.bucket = b->buckets.size() - 1;
      m.at = at;
      b->buckets.back().members.push_back(i);
      at += size;
      most = std::max(most, size);
    }
    TORCH_CHECK(!b->buckets.empty(), "no parameter learns");
    b->device = static_cast<int>(options.device().index());
    b->zeros = di::zeros({most}, options);
    for (auto& bucket : b->buckets) {
      const auto& last = b->members[bucket.members.back()];
      bucket.memory = di::zeros({last.at + last.parameter.numel()}, options);
    }
    b->stream = di::gpu::new_stream(b->device);
    for (size_t i = 0; i < n; i++) {
      auto& m = b->members[i];
      if (!m.parameter.requires_grad()) continue;
      m.node = torch::autograd::impl::grad_accumulator(m.parameter);
      m.hook = m.node->add_post_hook(std::make_unique<Hook>(b.get(), i));
    }
    b->sum = sum;
    *out = b.release();
  });
}

void di_buckets_free(di_buckets b) noexcept { delete b; }

size_t di_buckets_count(di_buckets b) noexcept { return b->buckets.size(); }

di_error* di_buckets_arm(di_buckets b) noexcept {
  return di::guard([&] {
    std::lock_guard<std::mutex> lock(b->mutex);
    b->armed = true;
    b->next = 0;
    b->failed.clear();
    for (auto& m : b->members) m.ready = false;
    for (auto& bucket : b->buckets) bucket.missing = bucket.members.size();
  });
}

di_error* di_buckets_rest(di_buckets b) noexcept {
  return di::guard([&] {
    std::lock_guard<std::mutex> lock(b->mutex);
    while (b->armed && b->next < b->buckets.size()) b->give();
    b->armed = false;
    TORCH_CHECK(b->failed.empty(), b->failed);
  });
}

di_error* di_buckets_done(di_buckets b, bool* done) noexcept {
  return di::guard([&] { *done = b->done.query(); });
}

di_error* di_buckets_store(di_buckets b, const int64_t* parameters, size_t n) noexcept {
  return di::guard([&] {
    c10::AutoGradMode off(false);
    b->done.block(di::current_stream(b->device));
    for (size_t i = 0; i < n; i++) {
      auto& m = b->members[parameters[i]];
      TORCH_CHECK(m.node, "a parameter that does not learn");
      auto sum = b->buckets[m.bucket].memory.narrow(0, m.at, m.parameter.numel()).view(m.parameter.sizes());
      // As the optimiser's operators on all parameters want it: in the parameter's own order.
      m.parameter.mutable_grad() = m.parameter.is_contiguous() ? sum : at::empty_like(m.parameter.detach()).copy_(sum);
    }
  });
}
