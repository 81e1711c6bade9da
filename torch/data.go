package torch

import (
	"fmt"
	"unsafe"

	"github.com/diffusioninst/go/internal/libtorch"
)

// Element lists the Go types that have a DType of their own.
type Element interface {
	~uint8 | ~int8 | ~int16 | ~int32 | ~int64 | ~float32 | ~float64
}

// DTypeOf returns the DType of a Go type.
func DTypeOf[E Element]() DType {
	var e E
	switch any(e).(type) {
	case uint8:
		return Uint8
	case int8:
		return Int8
	case int16:
		return Int16
	case int32:
		return Int32
	case int64:
		return Int64
	case float32:
		return Float32
	default:
		return Float64
	}
}

func bytesOf[E any](data []E) []byte {
	var e E
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(data))), len(data)*int(unsafe.Sizeof(e)))
}

// From copies row-major data into a new tensor on the CPU, a vector if no shape is given.
func From[E Element](s *Scope, data []E, shape ...int) *Tensor {
	if len(shape) == 0 {
		shape = []int{len(data)}
	}
	return s.FromBytes(bytesOf(data), DTypeOf[E](), CPU, shape...)
}

// FromBytes copies row-major little-endian data of a type into a new tensor on a device.
func (s *Scope) FromBytes(data []byte, dtype DType, device Device, shape ...int) *Tensor {
	h, e := libtorch.FromBytes(data, shape, dtype.number(), device.index())
	check("from_bytes", e)
	return s.own(h)
}

// Values copies the tensor, converted to E, into a row-major slice.
func Values[E Element](t *Tensor) []E {
	want := DTypeOf[E]()
	if t.DType() != want {
		t = t.ToDType(want)
		defer t.Close()
	}
	out := make([]E, t.Elements())
	check("to_bytes", libtorch.ToBytes(t.handle(), bytesOf(out)), t)
	return out
}

// Bytes copies the tensor into row-major bytes of its own type.
func (t *Tensor) Bytes() []byte {
	out := make([]byte, t.Elements()*t.DType().Size())
	check("to_bytes", libtorch.ToBytes(t.handle(), out), t)
	return out
}

// Item returns the value of a tensor of one element.
func (t *Tensor) Item() float64 {
	if n := t.Elements(); n != 1 {
		fail("item", fmt.Sprintf("a tensor of %d elements has no single value", n), t)
	}
	return Values[float64](t)[0]
}
