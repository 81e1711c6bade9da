package checkpoint

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
)

// A Tensor is a named tensor of an open [File]. Its values stay in the file until
// they are read. The methods are safe for concurrent use.
type Tensor struct {
	Name  string
	DType DType
	Shape []int64 // extent of each dimension; empty for a scalar

	view view
	file *File // for the errors
}

// view places a tensor in a storage, in elements of the tensor's type.
type view struct {
	store     *storage
	base      int64 // first element of the part of the storage that the tensor may touch
	limit     int64 // elements of that part
	offset    int64 // of element 0, from base
	strides   []int64
	bigEndian bool
}

// storage is a run of n bytes behind a reader.
type storage struct {
	r      io.ReaderAt
	off, n int64
}

func (s *storage) readAt(p []byte, off int64) error {
	if n, err := s.r.ReadAt(p, s.off+off); n < len(p) {
		return readError("the values", err)
	}
	return nil
}

// Elements returns the number of elements: the product of the shape, 1 for a scalar.
func (t *Tensor) Elements() int64 {
	n := int64(1)
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

func (t *Tensor) bytes() int64 { return t.Elements() * int64(t.DType.Size()) }

// ReadInto fills dst with the values in row-major order, little-endian, whatever
// their order in the file. It is an error if dst does not hold exactly
// Elements()*DType.Size() bytes.
func (t *Tensor) ReadInto(dst []byte) error {
	if int64(len(dst)) != t.bytes() {
		return fmt.Errorf("checkpoint: tensor %q: %d bytes given for %d of %s %v", t.Name, len(dst), t.bytes(), t.DType, t.Shape)
	}
	if len(dst) == 0 {
		return nil
	}
	var err error
	if t.contiguous() {
		err = t.readRun(dst, 0)
	} else {
		err = t.gather(dst)
	}
	return t.annotate(err)
}

// Float32s returns the values in row-major order, converted from any type:
// rounded to nearest from float64 and integers, 0 and 1 from bool.
func (t *Tensor) Float32s() ([]float32, error) {
	if !t.contiguous() {
		raw := make([]byte, t.bytes())
		if err := t.ReadInto(raw); err != nil {
			return nil, err
		}
		out := make([]float32, t.Elements())
		toFloat32(out, raw, t.DType)
		return out, nil
	}
	const chunk = 1 << 15
	out := make([]float32, t.Elements())
	size := t.DType.Size()
	raw := make([]byte, min(len(out), chunk)*size)
	for i := 0; i < len(out); i += chunk {
		part := out[i:min(i+chunk, len(out))]
		if err := t.readRun(raw[:len(part)*size], int64(i)); err != nil {
			return nil, t.annotate(err)
		}
		toFloat32(part, raw, t.DType)
	}
	return out, nil
}

func (t *Tensor) annotate(err error) error {
	if t.file == nil {
		return annotate(err, "", 0, t.Name)
	}
	return annotate(err, t.file.path, t.file.Format, t.Name)
}

// contiguous reports whether the elements lie in row-major order without gaps.
func (t *Tensor) contiguous() bool {
	want := int64(1)
	for i, d := range slices.Backward(t.Shape) {
		if d != 1 && t.view.strides[i] != want {
			return t.Elements() == 0
		}
		want *= d
	}
	return true
}

// readRun reads len(dst) bytes from element first of a contiguous tensor.
func (t *Tensor) readRun(dst []byte, first int64) error {
	size := int64(t.DType.Size())
	v := &t.view
	if err := v.store.readAt(dst, (v.base+v.offset+first)*size); err != nil {
		return err
	}
	if v.bigEndian {
		swapBytes(dst, int(size))
	}
	return nil
}

// gather reads the part of the storage that a strided tensor spans, and picks its
// elements in row-major order.
func (t *Tensor) gather(dst []byte) error {
	size := int64(t.DType.Size())
	v := &t.view
	span := int64(1)
	for i, d := range t.Shape {
		span += (d - 1) * v.strides[i]
	}
	raw := make([]byte, span*size)
	if err := t.readRun(raw, 0); err != nil {
		return err
	}
	index := make([]int64, len(t.Shape))
	from := int64(0)
	for to := int64(0); to < int64(len(dst)); to += size {
		copy(dst[to:to+size], raw[from*size:])
		for i := len(index) - 1; i >= 0; i-- {
			index[i]++
			from += v.strides[i]
			if index[i] < t.Shape[i] {
				break
			}
			from -= index[i] * v.strides[i]
			index[i] = 0
		}
	}
	return nil
}

const maxRank = 64 // PyTorch's and NumPy's own limit

// elements returns the product of shape, or an error if it is not a shape or does
// not fit in memory.
func elements(shape []int64) (int64, error) {
	if len(shape) > maxRank {
		return 0, corrupt("%d dimensions, more than %d", len(shape), maxRank)
	}
	n, empty := int64(1), false
	for _, d := range shape {
		switch {
		case d < 0:
			return 0, corrupt("negative extent in shape %v", shape)
		case d == 0:
			empty = true
		case n > math.MaxInt64/16/d:
			return 0, corrupt("shape %v is too large", shape)
		default:
			n *= d
		}
	}
	if empty {
		return 0, nil
	}
	return n, nil
}

// check verifies that every element of t lies inside its storage and that the
// storage has at least as many elements as t. Only then may memory for t be asked for.
func (t *Tensor) check() error {
	if !t.DType.valid() {
		return unsupported("unknown element type %d", t.DType)
	}
	n, err := elements(t.Shape)
	if err != nil {
		return err
	}
	v, size := &t.view, int64(t.DType.Size())
	if v.store == nil {
		return corrupt("the file does not contain its storage")
	}
	held := v.store.n / size
	if v.base < 0 || v.limit < 0 || v.base > held || v.limit > held-v.base {
		return corrupt("storage of %d bytes is too small for %d elements of %s from element %d", v.store.n, v.limit, t.DType, v.base)
	}
	if v.offset < 0 || v.offset > v.limit {
		return corrupt("offset %d is outside its storage of %d elements", v.offset, v.limit)
	}
	if len(v.strides) != len(t.Shape) {
		return corrupt("%d strides for shape %v", len(v.strides), t.Shape)
	}
	if n == 0 {
		return nil
	}
	if n > v.limit && slices.Contains(v.strides, 0) {
		return unsupported("shape %v has %d elements but its storage only %d: it is an expanded tensor; save it after .contiguous()", t.Shape, n, v.limit)
	}
	if n > v.limit {
		return corrupt("shape %v has %d elements but its storage only %d", t.Shape, n, v.limit)
	}
	last := v.offset
	for i, d := range t.Shape {
		s := v.strides[i]
		if s < 0 {
			return corrupt("negative stride in %v", v.strides)
		}
		if d > 1 && s > (v.limit-1-last)/(d-1) {
			return corrupt("shape %v with strides %v and offset %d leaves its storage of %d elements", t.Shape, v.strides, v.offset, v.limit)
		}
		if d > 1 {
			last += (d - 1) * s
		}
	}
	if last >= v.limit {
		return corrupt("shape %v with strides %v and offset %d leaves its storage of %d elements", t.Shape, v.strides, v.offset, v.limit)
	}
	return nil
}

// rowMajor returns the strides of a contiguous tensor of a shape that elements has accepted.
func rowMajor(shape []int64) []int64 {
	s := make([]int64, len(shape))
	n := int64(1)
	for i, d := range slices.Backward(shape) {
		s[i] = n
		n *= max(d, 1)
	}
	return s
}

func swapBytes(b []byte, size int) {
	switch size {
	case 2:
		for i := 0; i+2 <= len(b); i += 2 {
			b[i], b[i+1] = b[i+1], b[i]
		}
	case 4:
		for i := 0; i+4 <= len(b); i += 4 {
			binary.LittleEndian.PutUint32(b[i:], binary.BigEndian.Uint32(b[i:]))
		}
	case 8:
		for i := 0; i+8 <= len(b); i += 8 {
			binary.LittleEndian.PutUint64(b[i:], binary.BigEndian.Uint64(b[i:]))
		}
	}
}
