// The C interface between Go and LibTorch. Every function returns its own error instead
// of setting a thread-local one: a goroutine may move to another thread between two calls.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define DI_NOEXCEPT noexcept
extern "C" {
#else
#define DI_NOEXCEPT
#endif

typedef struct di_tensor_s* di_tensor;        // an at::Tensor on the heap
typedef struct di_generator_s* di_generator;  // an at::Generator on the heap

// A NUL-terminated message, to be freed by di_error_free.
typedef struct {
  char* message;
  bool out_of_memory;  // of the host or of a GPU
} di_error;

// The results of operators: up to three tensors and an error, which is NULL on success.
typedef struct {
  di_tensor a;
  di_error* error;
} di_result1;
typedef struct {
  di_tensor a, b;
  di_error* error;
} di_result2;
typedef struct {
  di_tensor a, b, c;
  di_error* error;
} di_result3;

void di_error_free(di_error* error) DI_NOEXCEPT;

// Handles.
di_tensor di_alias(di_tensor t) DI_NOEXCEPT;
void di_free(const di_tensor* tensors, size_t n) DI_NOEXCEPT;
int di_dim(di_tensor t) DI_NOEXCEPT;
void di_shape(di_tensor t, int64_t* shape) DI_NOEXCEPT;
int di_dtype(di_tensor t) DI_NOEXCEPT;
int di_device(di_tensor t) DI_NOEXCEPT;  // −1 CPU, otherwise the CUDA device's index
bool di_is_channels_last(di_tensor t) DI_NOEXCEPT;
int64_t di_changes(di_tensor t) DI_NOEXCEPT;  // of its memory by operators in place

// Data transfer. Bytes are in row-major order and of the tensor's own type.
di_result1 di_from_bytes(const void* data, size_t bytes, const int64_t* shape, size_t dims, int dtype,
                         int device) DI_NOEXCEPT;
di_error* di_to_bytes(di_tensor t, void* data, size_t bytes) DI_NOEXCEPT;
di_result1 di_empty(const int64_t* shape, size_t dims, int dtype, int device) DI_NOEXCEPT;
di_result1 di_full(const int64_t* shape, size_t dims, double value, int dtype, int device) DI_NOEXCEPT;
di_result1 di_arange(double start, double end, double step, int dtype, int device) DI_NOEXCEPT;
di_result1 di_to_device(di_tensor t, int device) DI_NOEXCEPT;

// Randomness.
di_generator di_generator_new(uint64_t seed) DI_NOEXCEPT;
void di_generator_free(di_generator g) DI_NOEXCEPT;
di_result1 di_generator_state(di_generator g) DI_NOEXCEPT;
di_error* di_generator_set_state(di_generator g, di_tensor state) DI_NOEXCEPT;
di_result1 di_randn(di_generator g, const int64_t* shape, size_t dims, int dtype) DI_NOEXCEPT;
di_result1 di_rand(di_generator g, const int64_t* shape, size_t dims, int dtype) DI_NOEXCEPT;
di_result1 di_randint(di_generator g, int64_t low, int64_t high, const int64_t* shape, size_t dims) DI_NOEXCEPT;
di_result1 di_randperm(di_generator g, int64_t n) DI_NOEXCEPT;
di_result1 di_multinomial(di_generator g, di_tensor weights, int64_t n) DI_NOEXCEPT;

// Gradients.
bool di_grad_enabled(void) DI_NOEXCEPT;
void di_set_grad_enabled(bool enabled) DI_NOEXCEPT;  // for the calling thread
bool di_requires_grad(di_tensor t) DI_NOEXCEPT;
di_error* di_set_requires_grad(di_tensor t, bool requires_grad) DI_NOEXCEPT;
di_error* di_backward(di_tensor t) DI_NOEXCEPT;
// Gradients of outputs, given their own, with respect to leaves: new tensors laid out as the leaves are; NULL for a leaf without a gradient.
di_error* di_gradients(const di_tensor* outputs, const di_tensor* given, size_t n, const di_tensor* leaves, size_t m, di_tensor* out) DI_NOEXCEPT;
// Which leaves a result depends on.
di_error* di_reached(di_tensor result, const di_tensor* leaves, size_t n, bool* out) DI_NOEXCEPT;
// Adds to leaves' gradients, which become the given tensors if a leaf has none yet.
di_error* di_accumulate(const di_tensor* leaves, const di_tensor* gradients, size_t n) DI_NOEXCEPT;
// Makes each gradient of leaves a copy that nothing else writes to.
di_error* di_own_grads(const di_tensor* leaves, size_t n) DI_NOEXCEPT;
di_result1 di_grad(di_tensor t) DI_NOEXCEPT;  // NULL if absent
void di_clear_grad(di_tensor t) DI_NOEXCEPT;

// Global settings, and the threads of operators.
const char* di_version(void) DI_NOEXCEPT;
int di_cuda_devices(void) DI_NOEXCEPT;
void di_allow_tf32(bool allow) DI_NOEXCEPT;
void di_benchmark_cudnn(bool on) DI_NOEXCEPT;
int di_threads(void) DI_NOEXCEPT;
void di_share_threads(int n) DI_NOEXCEPT;  // for the calling thread only

#ifdef __cplusplus
}
#endif
