// The differences between LibTorch 1.13 and 2.14, all in one place.
#pragma once
#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <torch/csrc/api/include/torch/version.h>

#include <optional>

#define DI_TORCH_AT_LEAST(major, minor) \
  (TORCH_VERSION_MAJOR > (major) || (TORCH_VERSION_MAJOR == (major) && TORCH_VERSION_MINOR >= (minor)))

namespace di {

#if DI_TORCH_AT_LEAST(2, 2)
template <typename T>
using optional = std::optional<T>;
#else
template <typename T>
using optional = c10::optional<T>;
#endif

inline int cuda_devices() noexcept {
  try {
    if (!at::hasCUDA()) return 0;
#if DI_TORCH_AT_LEAST(2, 3)
    return at::detail::getCUDAHooks().deviceCount();
#else
    return at::detail::getCUDAHooks().getNumGPUs();
#endif
  } catch (...) {
    return 0;
  }
}

}  // namespace di
