package torch

// An Array is row-major data of the host, for Upload.
type Array struct {
	data  []byte
	dtype DType
	shape []int
}

// ArrayOf returns data as an Array, a vector if no shape is given. It must not change until it is uploaded.
func ArrayOf[E Element](data []E, shape ...int) Array {
	if len(shape) == 0 {
		shape = []int{len(data)}
	}
	return Array{bytesOf(data), DTypeOf[E](), shape}
}

// arrayAlign is a multiple of every element's size.
const arrayAlign = 16

// Upload copies arrays into new tensors on a device. A GPU gets all of them in one copy, whose memory the tensors share: it
// is free again when all of them are.
func (s *Scope) Upload(device Device, arrays ...Array) []*Tensor {
	out := make([]*Tensor, len(arrays))
	if !device.IsCUDA() || len(arrays) == 1 {
		for i, a := range arrays {
			out[i] = s.FromBytes(a.data, a.dtype, device, a.shape...)
		}
		return out
	}
	size := 0
	for _, a := range arrays {
		size += (len(a.data) + arrayAlign - 1) / arrayAlign * arrayAlign
	}
	packed := make([]byte, 0, size)
	starts := make([]int, len(arrays))
	for i, a := range arrays {
		starts[i] = len(packed)
		packed = append(packed, a.data...)
		packed = append(packed, make([]byte, -len(packed)&(arrayAlign-1))...)
	}
	mark := s.Mark()
	all := s.FromBytes(packed, Uint8, device, len(packed))
	for i, a := range arrays {
		out[i] = all.Narrow(0, starts[i], len(a.data)).ViewDType(a.dtype).View(a.shape...)
	}
	s.Release(mark, out...)
	return out
}
