package libtorch

// #cgo CXXFLAGS: -std=c++20 -O3 -g0 -DNDEBUG -fopenmp -Wno-deprecated-declarations
// #cgo LDFLAGS: -fopenmp -Wl,--no-as-needed -ltorch -ltorch_cpu -lc10 -ldl
// #include "libtorch.h"
// #cgo noescape di_free
// #cgo noescape di_shape
// #cgo noescape di_from_bytes
// #cgo noescape di_to_bytes
// #cgo noescape di_empty
// #cgo noescape di_full
// #cgo noescape di_randn
// #cgo noescape di_rand
// #cgo noescape di_randint
import "C"

import "unsafe"

// A Handle is a tensor on the C++ heap, to be released by Free.
type Handle unsafe.Pointer

// A Generator is a random number generator on the C++ heap, to be released by FreeGenerator.
type Generator unsafe.Pointer

// An Error is LibTorch's message, without its C++ backtrace.
type Error struct {
	Message     string
	OutOfMemory bool // of the host or of a GPU
}

func takeError(e *C.di_error) *Error {
	if e == nil {
		return nil
	}
	defer C.di_error_free(e)
	return &Error{C.GoString(e.message), bool(e.out_of_memory)}
}

func one(r C.di_result1) (Handle, *Error) { return Handle(r.a), takeError(r.error) }

// ints and dims pass a []int to C without a copy, which needs an int of 64 bits. On 32-bit
// machines, which LibTorch does not support either, this constant does not compile.
const _ = uint(unsafe.Sizeof(int(0)) - unsafe.Sizeof(C.int64_t(0)))

func ints(list []int) *C.int64_t { return (*C.int64_t)(unsafe.Pointer(unsafe.SliceData(list))) }

func dims(shape []int) (*C.int64_t, C.size_t) { return ints(shape), C.size_t(len(shape)) }

// Alias returns another handle to the same tensor.
func Alias(t Handle) Handle { return Handle(C.di_alias(C.di_tensor(t))) }

// Free releases the handles in one call.
func Free(handles ...Handle) {
	C.di_free((*C.di_tensor)(unsafe.Pointer(unsafe.SliceData(handles))), C.size_t(len(handles)))
}

// Shape returns the tensor's size in every dimension.
func Shape(t Handle) []int {
	out := make([]int, C.di_dim(C.di_tensor(t)))
	if len(out) > 0 {
		C.di_shape(C.di_tensor(t), ints(out))
	}
	return out
}

// DType returns the number of the tensor's at::ScalarType.
func DType(t Handle) int { return int(C.di_dtype(C.di_tensor(t))) }

// Device returns −1 for the CPU, otherwise the index of the CUDA device.
func Device(t Handle) int { return int(C.di_device(C.di_tensor(t))) }

// IsChannelsLast reports whether t (B,C,H,W) is contiguous in channels-last order.
func IsChannelsLast(t Handle) bool { return bool(C.di_is_channels_last(C.di_tensor(t))) }

// Changes returns how often operators have changed the tensor's memory in place.
func Changes(t Handle) int64 { return int64(C.di_changes(C.di_tensor(t))) }

// FromBytes returns a new tensor with a copy of row-major data.
func FromBytes(data []byte, shape []int, dtype, device int) (Handle, *Error) {
	p, n := dims(shape)
	if len(data) == 0 {
		return one(C.di_from_bytes(nil, 0, p, n, C.int(dtype), C.int(device)))
	}
	// With &data[0] cgo checks the slice for Go pointers, otherwise the whole struct that it may lie in.
	return one(C.di_from_bytes(unsafe.Pointer(&data[0]), C.size_t(len(data)), p, n, C.int(dtype), C.int(device)))
}

// ToBytes copies the tensor's elements into data, in row-major order.
func ToBytes(t Handle, data []byte) *Error {
	if len(data) == 0 {
		return takeError(C.di_to_bytes(C.di_tensor(t), nil, 0))
	}
	return takeError(C.di_to_bytes(C.di_tensor(t), unsafe.Pointer(&data[0]), C.size_t(len(data))))
}

// Empty returns a new tensor with undefined elements.
func Empty(shape []int, dtype, device int) (Handle, *Error) {
	p, n := dims(shape)
	return one(C.di_empty(p, n, C.int(dtype), C.int(device)))
}

// Full returns a new tensor filled with value.
func Full(shape []int, value float64, dtype, device int) (Handle, *Error) {
	p, n := dims(shape)
	return one(C.di_full(p, n, C.double(value), C.int(dtype), C.int(device)))
}

// Arange returns the vector start, start+step, … below end.
func Arange(start, end, step float64, dtype, device int) (Handle, *Error) {
	return one(C.di_arange(C.double(start), C.double(end), C.double(step), C.int(dtype), C.int(device)))
}

// ToDevice returns a copy of the tensor on the device, or another handle to it if it is there already.
func ToDevice(t Handle, device int) (Handle, *Error) {
	return one(C.di_to_device(C.di_tensor(t), C.int(device)))
}

// NewGenerator returns a CPU generator (Mersenne Twister) with a seed.
func NewGenerator(seed uint64) Generator { return Generator(C.di_generator_new(C.uint64_t(seed))) }

// FreeGenerator releases the generator.
func FreeGenerator(g Generator) { C.di_generator_free(C.di_generator(g)) }

// GeneratorState returns the generator's state as a byte tensor.
func GeneratorState(g Generator) (Handle, *Error) {
	return one(C.di_generator_state(C.di_generator(g)))
}

// SetGeneratorState restores a state that GeneratorState returned.
func SetGeneratorState(g Generator, state Handle) *Error {
	return takeError(C.di_generator_set_state(C.di_generator(g), C.di_tensor(state)))
}

// Randn returns numbers drawn from N(0,1), on the CPU.
func Randn(g Generator, shape []int, dtype int) (Handle, *Error) {
	p, n := dims(shape)
	return one(C.di_randn(C.di_generator(g), p, n, C.int(dtype)))
}

// Rand returns numbers drawn uniformly from [0,1), on the CPU.
func Rand(g Generator, shape []int, dtype int) (Handle, *Error) {
	p, n := dims(shape)
	return one(C.di_rand(C.di_generator(g), p, n, C.int(dtype)))
}

// Randint returns integers (int64) drawn uniformly from low … high−1, on the CPU.
func Randint(g Generator, low, high int64, shape []int) (Handle, *Error) {
	p, n := dims(shape)
	return one(C.di_randint(C.di_generator(g), C.int64_t(low), C.int64_t(high), p, n))
}

// Randperm returns a random permutation of 0 … n−1, int64 on the CPU.
func Randperm(g Generator, n int) (Handle, *Error) {
	return one(C.di_randperm(C.di_generator(g), C.int64_t(n)))
}

// Multinomial returns n indices drawn without replacement, with probabilities proportional to weights.
func Multinomial(g Generator, weights Handle, n int) (Handle, *Error) {
	return one(C.di_multinomial(C.di_generator(g), C.di_tensor(weights), C.int64_t(n)))
}

// GradEnabled reports whether operators on the calling thread record gradients.
func GradEnabled() bool { return bool(C.di_grad_enabled()) }

// SetGradEnabled sets whether operators on the calling thread record gradients.
func SetGradEnabled(enabled bool) { C.di_set_grad_enabled(C.bool(enabled)) }

// RequiresGrad reports whether the tensor requires a gradient.
func RequiresGrad(t Handle) bool { return bool(C.di_requires_grad(C.di_tensor(t))) }

// SetRequiresGrad sets whether the tensor requires a gradient.
func SetRequiresGrad(t Handle, requires bool) *Error {
	return takeError(C.di_set_requires_grad(C.di_tensor(t), C.bool(requires)))
}

// Backward adds the gradient of the scalar t with respect to each leaf to the leaf's gradient.
func Backward(t Handle) *Error { return takeError(C.di_backward(C.di_tensor(t))) }

// Gradients returns the gradients of outputs, given their own, with respect to leaves, as new tensors laid out as the leaves
// are; nil for a leaf without a gradient.
func Gradients(outputs, given, leaves []Handle) ([]Handle, *Error) {
	o, n := list(outputs)
	g, _ := list(given)
	l, m := list(leaves)
	out := make([]Handle, len(leaves))
	r, _ := list(out)
	e := takeError(C.di_gradients(o, g, n, l, m, r))
	return out, e
}

// Reached reports which leaves a result depends on.
func Reached(result Handle, leaves []Handle) ([]bool, *Error) {
	l, n := list(leaves)
	out := make([]bool, len(leaves))
	e := takeError(C.di_reached(C.di_tensor(result), l, n, (*C.bool)(unsafe.SliceData(out))))
	return out, e
}

// Accumulate adds to the gradients of leaves. Where a leaf has none, its gradient becomes the given tensor itself.
func Accumulate(leaves, gradients []Handle) *Error {
	l, n := list(leaves)
	g, _ := list(gradients)
	return takeError(C.di_accumulate(l, g, n))
}

// OwnGrads makes the gradient of each leaf, if it has one, a copy that nothing else writes to.
func OwnGrads(leaves []Handle) *Error {
	l, n := list(leaves)
	return takeError(C.di_own_grads(l, n))
}

// Grad returns the leaf's gradient, nil if it has none.
func Grad(t Handle) (Handle, *Error) { return one(C.di_grad(C.di_tensor(t))) }

// ClearGrad removes the leaf's gradient.
func ClearGrad(t Handle) { C.di_clear_grad(C.di_tensor(t)) }

// Version returns LibTorch's version.
func Version() string { return C.GoString(C.di_version()) }

// AllowTF32 sets whether GPUs may compute float32 matrix products and convolutions in TF32, for the whole process.
func AllowTF32(allow bool) { C.di_allow_tf32(C.bool(allow)) }

// BenchmarkCuDNN sets whether cuDNN benchmarks its algorithms for each new shape, for the whole process.
func BenchmarkCuDNN(on bool) { C.di_benchmark_cudnn(C.bool(on)) }

// CUDADevices returns the number of CUDA devices that LibTorch can use.
func CUDADevices() int { return int(C.di_cuda_devices()) }

// Threads returns the number of threads that an operator called from this thread uses.
func Threads() int { return int(C.di_threads()) }
