// Kernels for NVIDIA GPUs. Their sources (cuda/*.cu) are embedded in the program and compiled
// on first use by NVRTC, which every CUDA build of LibTorch brings along: the module builds
// without CUDA, and one binary serves every GPU.
#pragma once
#include <ATen/core/Tensor.h>

#include <string>

namespace di::gpu {

// capability returns a device's compute capability times ten, such as 90.
int capability(int device);

// Kernel is a function of a source file, compiled with definitions such as "-DSCALAR=float".
struct Kernel {
  const char *source, *function;
  std::vector<std::string> definitions;
};

struct Grid {
  int64_t x, y = 1;
};

// enqueue launches a kernel on the GPU of tensor `on`, in the current stream, on which LibTorch's own
// work of the calling thread runs, too.
void enqueue(const Kernel& kernel, const at::Tensor& on, Grid blocks, int threads, void** arguments);

// run is enqueue with arguments whose types must be exactly the types of the kernel's parameters.
template <typename... Args>
void run(const Kernel& kernel, const at::Tensor& on, Grid blocks, int threads, Args... args) {
  void* list[] = {&args...};
  enqueue(kernel, on, blocks, threads, list);
}

// new_stream returns a new stream of a device as the number that LibTorch knows streams of others by.
int64_t new_stream(int device);

// define returns the definition of an integer.
std::string define(const char* name, int64_t value);

// computed returns the type in which kernels compute with values of a type: float32 for float16 and bfloat16.
at::ScalarType computed(at::ScalarType type);

// scalar_of returns the definition of SCALAR, the type in which kernels compute with a tensor.
std::string scalar_of(const at::Tensor& t);

// stored defines a name as the type of a tensor's elements, which may be float16 and bfloat16, too.
std::string stored(const char* name, at::ScalarType type);

}  // namespace di::gpu
