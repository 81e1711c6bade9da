// Helpers of the C++ side: handles are converted to tensors, results to handles.
#pragma once
#include <ATen/core/Tensor.h>

#include <cmath>
#include <tuple>
#include <vector>

#include "compat.h"
#include "guard.h"

namespace di {

inline at::Tensor& ref(di_tensor t) { return *reinterpret_cast<at::Tensor*>(t); }

inline di_tensor wrap(at::Tensor t) { return reinterpret_cast<di_tensor>(new at::Tensor(std::move(t))); }

inline optional<at::Tensor> optional_ref(di_tensor t) {
  if (t == nullptr) return {};
  return ref(t);
}

inline std::vector<at::Tensor> list(const di_tensor* tensors, size_t n) {
  std::vector<at::Tensor> out;
  out.reserve(n);
  for (size_t i = 0; i < n; i++) out.push_back(ref(tensors[i]));
  return out;
}

// scalar passes whole numbers as integers: a floating-point scalar would promote integer tensors.
inline at::Scalar scalar(double x) {
  if (x == std::trunc(x) && std::fabs(x) < 9007199254740992.0) return static_cast<int64_t>(x);
  return x;
}

// empty and zeros are LibTorch's operators, whose headers are large.
at::Tensor empty(at::IntArrayRef shape, const at::TensorOptions& options);
at::Tensor zeros(at::IntArrayRef shape, const at::TensorOptions& options);

// to_device copies a tensor. What comes from the host is first put into memory that the GPU reads by
// itself, so that the host need not wait until the GPU has done what was enqueued before.
at::Tensor to_device(const at::Tensor& t, at::Device device);

// to_host copies a tensor to the host and waits for it, into memory that a GPU writes by itself.
at::Tensor to_host(const at::Tensor& t);

template <typename F>
di_error* call0(F&& f) noexcept {
  return guard(f);
}

template <typename F>
di_result1 call1(F&& f) noexcept {
  di_result1 r{};
  r.error = guard([&] { r.a = wrap(f()); });
  return r;
}

template <typename F>
di_result2 call2(F&& f) noexcept {
  di_result2 r{};
  r.error = guard([&] {
    auto t = f();
    r.a = wrap(std::get<0>(t));
    r.b = wrap(std::get<1>(t));
  });
  return r;
}

template <typename F>
di_result3 call3(F&& f) noexcept {
  di_result3 r{};
  r.error = guard([&] {
    auto t = f();
    r.a = wrap(std::get<0>(t));
    r.b = wrap(std::get<1>(t));
    r.c = wrap(std::get<2>(t));
  });
  return r;
}

inline at::Device device(int index) {
  return index < 0 ? at::Device(at::kCPU) : at::Device(at::kCUDA, static_cast<at::DeviceIndex>(index));
}

}  // namespace di
