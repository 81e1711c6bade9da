// Kernels for NVIDIA GPUs. Their sources lie in the program as text (cuda/*.cu) and are
// compiled by NVRTC, which comes with every LibTorch for CUDA, when they are first
// used: the module itself builds without CUDA, and one build serves every GPU.
#pragma once
#include <ATen/core/Tensor.h>

#include <string>

namespace di::gpu {

// Kernel is a function of a source, compiled with definitions such as "-DSCALAR=float".
struct Kernel {
  const char *source, *function;
  std::vector<std::string> definitions;
};

struct Grid {
  int64_t x, y = 1;
};

// enqueue runs a kernel after what is under way on a tensor's GPU: all work is on
// LibTorch's default stream.
void enqueue(const Kernel& kernel, const at::Tensor& on, Grid blocks, int threads, void** arguments);

// run is enqueue with arguments of exactly the kernel's types.
template <typename... Args>
void run(const Kernel& kernel, const at::Tensor& on, Grid blocks, int threads, Args... args) {
  void* list[] = {&args...};
  enqueue(kernel, on, blocks, threads, list);
}

// define is the definition of a number.
std::string define(const char* name, int64_t value);

// type_of is the definition of SCALAR for tensors of float or double.
std::string type_of(const at::Tensor& t);

}  // namespace di::gpu
