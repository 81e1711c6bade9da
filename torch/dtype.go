package torch

import "fmt"

// A DType is the type of a tensor's elements. The zero value means unset: where a type
// may be left out it is the default, and where one is needed it is an *Error.
type DType int

// The element types are LibTorch's numbers plus one, which leaves zero for unset; number
// and dtypeOf convert.
const (
	Uint8    DType = 1
	Int8     DType = 2
	Int16    DType = 3
	Int32    DType = 4
	Int64    DType = 5
	Float16  DType = 6
	Float32  DType = 7
	Float64  DType = 8
	Bool     DType = 12
	BFloat16 DType = 16
)

var dtypes = [...]struct {
	name string
	size int
}{
	Uint8: {"uint8", 1}, Int8: {"int8", 1}, Int16: {"int16", 2}, Int32: {"int32", 4}, Int64: {"int64", 8},
	Float16: {"float16", 2}, Float32: {"float32", 4}, Float64: {"float64", 8}, Bool: {"bool", 1}, BFloat16: {"bfloat16", 2},
}

func (d DType) known() bool { return d > 0 && int(d) < len(dtypes) && dtypes[d].size > 0 }

// number returns LibTorch's number of the type. It panics with *Error if d is unset.
func (d DType) number() int {
	if !d.known() {
		panic(&Error{Op: "dtype", Message: fmt.Sprintf("the element type is %v: give one, such as torch.Float32", d)})
	}
	return int(d) - 1
}

// dtypeOf returns the type of a LibTorch number.
func dtypeOf(number int) DType { return DType(number + 1) }

// Size returns the number of bytes of an element, 0 if d is unset.
func (d DType) Size() int {
	if !d.known() {
		return 0
	}
	return dtypes[d].size
}

// String returns the type's name in PyTorch, such as "float32", or "unset".
func (d DType) String() string {
	switch {
	case d == 0:
		return "unset"
	case !d.known():
		return fmt.Sprintf("dtype(%d)", int(d))
	}
	return dtypes[d].name
}
