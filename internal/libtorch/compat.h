// All differences between the supported LibTorch versions, 1.13 to 2.14.
#pragma once
#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/util/intrusive_ptr.h>
#include <torch/csrc/api/include/torch/version.h>

#include <memory>
#include <optional>
#include <type_traits>

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

// make_node returns a new autograd node in the smart pointer that autograd uses: a shared_ptr
// with deleteNode (found by argument-dependent lookup) as deleter or, in 2.14, an intrusive_ptr.
template <typename N>
auto make_node() {
  if constexpr (std::is_base_of_v<c10::intrusive_ptr_target, N>) {
    return c10::make_intrusive<N>();
  } else {
    return std::shared_ptr<N>(new N(), [](N* node) { deleteNode(node); });
  }
}

}  // namespace di
