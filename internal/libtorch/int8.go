package libtorch

// #include "kernels.h"
import "C"

// An Int8Convolution is the packed weight and bias of a convolution of 8-bit numbers.
type Int8Convolution struct{ packed C.di_int8_convolution }

// An Int8Range has the numbers (q − Zero)·Step for q from 0 to 255.
type Int8Range struct {
	Step float64
	Zero int
}

func (r Int8Range) c() C.di_int8_range {
	return C.di_int8_range{step: C.double(r.Step), zero: C.int64_t(r.Zero)}
}

// HasInt8 reports whether LibTorch was built with convolutions of 8-bit numbers by oneDNN.
func HasInt8() bool { return bool(C.di_has_int8()) }

// Int8Pack rounds the weight (K,C,h,w); bias may be nil. Results are at least 0 if relu is set.
func Int8Pack(weight, bias Handle, stride, padding [2]int, relu bool) (Int8Convolution, *Error) {
	r := C.di_int8_pack(C.di_tensor(weight), C.di_tensor(bias), ints(stride[:]), ints(padding[:]), C.bool(relu))
	return Int8Convolution{r.convolution}, takeError(r.error)
}

// Free frees the convolution.
func (c Int8Convolution) Free() { C.di_int8_free(c.packed) }

// Convolve returns the convolution of x (B,C,H,W), which is float32 or was kept; see di_int8_convolve in kernels.h. add may be nil.
func (c Int8Convolution) Convolve(x, add Handle, in, out Int8Range, keep bool) (Handle, *Error) {
	o := C.di_int8_options{in: in.c(), out: out.c(), keep: C.bool(keep)}
	return one(C.di_int8_convolve(c.packed, C.di_tensor(x), C.di_tensor(add), &o))
}
