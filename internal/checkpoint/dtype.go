package checkpoint

import "fmt"

// DType is the element type of a tensor. The zero value is not a valid type.
type DType uint8

// The element types that are read and written.
const (
	Float64 DType = iota + 1
	Float32
	Float16
	BFloat16
	Int64
	Int32
	Int16
	Int8
	Uint8
	Bool
)

var dtypes = [...]struct {
	name string
	tag  string // the safetensors name
	size int
}{
	Float64:  {"float64", "F64", 8},
	Float32:  {"float32", "F32", 4},
	Float16:  {"float16", "F16", 2},
	BFloat16: {"bfloat16", "BF16", 2},
	Int64:    {"int64", "I64", 8},
	Int32:    {"int32", "I32", 4},
	Int16:    {"int16", "I16", 2},
	Int8:     {"int8", "I8", 1},
	Uint8:    {"uint8", "U8", 1},
	Bool:     {"bool", "BOOL", 1},
}

func (d DType) valid() bool { return d != 0 && int(d) < len(dtypes) }

// Size returns the number of bytes of one element, 0 for an invalid type.
func (d DType) Size() int {
	if !d.valid() {
		return 0
	}
	return dtypes[d].size
}

// String returns the name as PyTorch and NumPy write it, such as "float32".
func (d DType) String() string {
	if !d.valid() {
		return fmt.Sprintf("DType(%d)", uint8(d))
	}
	return dtypes[d].name
}
