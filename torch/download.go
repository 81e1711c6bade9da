package torch

import "fmt"

// Download copies tensors of one device to the host. From a GPU it is one copy, for which the host waits once.
func Download(tensors ...*Tensor) []Array {
	out := make([]Array, len(tensors))
	for i, t := range tensors {
		out[i] = Array{dtype: t.DType(), shape: t.Shape()}
	}
	if len(tensors) < 2 || !tensors[0].Device().IsCUDA() {
		for i, t := range tensors {
			out[i].data = t.Bytes()
		}
		return out
	}
	all := scopeOf(tensors...).Hold(func() *Tensor {
		flat := make([]*Tensor, len(tensors))
		for i, t := range tensors {
			flat[i] = t.Reshape(-1).Contiguous().ViewDType(Uint8)
		}
		return Cat(flat, 0)
	})
	defer all.Close()
	data := all.Bytes()
	for i, t := range tensors {
		n := t.Elements() * t.DType().Size()
		out[i].data, data = data[:n:n], data[n:]
	}
	return out
}

// ArrayValues copies an array's elements, whose type must be E's.
func ArrayValues[E Element](a Array) []E {
	if want := DTypeOf[E](); a.dtype != want {
		fail("array", fmt.Sprintf("elements of %v are no %v", a.dtype, want))
	}
	out := make([]E, len(a.data)/DTypeOf[E]().Size())
	copy(bytesOf(out), a.data)
	return out
}
