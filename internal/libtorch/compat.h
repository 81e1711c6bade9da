// All differences between the supported LibTorch versions, 1.13 to 2.14.
#pragma once
#include <torch/csrc/api/include/torch/version.h>

#include <optional>

#define DI_TORCH_AT_LEAST(major, minor) \
  (TORCH_VERSION_MAJOR > (major) || (TORCH_VERSION_MAJOR == (major) && TORCH_VERSION_MINOR >= (minor)))

#if DI_TORCH_AT_LEAST(2, 3)
#define DI_DEVICE_COUNT deviceCount
#else
#define DI_DEVICE_COUNT getNumGPUs  // a method of at::CUDAHooksInterface
#endif

// Whether oneDNN fills what it pads channels to 16 with: 3.7, which comes with Debian 13, does not.
#define DI_ONEDNN_PADS (TORCH_VERSION_MAJOR < 2)

namespace di {

#if DI_TORCH_AT_LEAST(2, 2)
template <typename T>
using optional = std::optional<T>;
#else
template <typename T>
using optional = c10::optional<T>;
#endif

}  // namespace di
