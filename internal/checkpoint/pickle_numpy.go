package checkpoint

import (
	"io"
	"math"
	"slices"
	"strings"
)

// numpyType is a NumPy element type. dtype is 0 for the ones that are not supported.
type numpyType struct {
	code      string
	dtype     DType
	bigEndian bool
}

var numpyTypes = map[string]DType{
	"f8": Float64, "f4": Float32, "f2": Float16,
	"i8": Int64, "i4": Int32, "i2": Int16, "i1": Int8, "u1": Uint8, "b1": Bool,
}

func allowNumPy() {
	allow("numpy", nil, "ndarray")
	allow("numpy", newNumPyType, "dtype")
	allow("numpy.core.multiarray", func(m *machine, _ tuple) (any, error) {
		return &array{problem: corrupt("an array without content"), pending: true}, m.charge(256)
	}, "_reconstruct")
	allow("numpy.core.multiarray", numpyScalar, "scalar")
	allow("numpy.core.numeric", fromBuffer, "_frombuffer")
}

// newNumPyType handles dtype(code, align, copy).
func newNumPyType(m *machine, args tuple) (any, error) {
	if len(args) < 1 || len(args) > 3 {
		return nil, corrupt("a NumPy type has %d arguments", len(args))
	}
	code, ok := asText(args[0])
	if !ok {
		return nil, corrupt("a NumPy type is made of %s", kind(args[0]))
	}
	t := &numpyType{code: code}
	plain := strings.TrimLeft(code, "<>|=")
	t.dtype = numpyTypes[plain]
	t.bigEndian = strings.HasPrefix(code, ">")
	return t, m.charge(64)
}

// setState handles (version, byte order, subarray, names, fields, …).
func (t *numpyType) setState(state any) error {
	s, ok := state.(tuple)
	if !ok || len(s) < 5 {
		return corrupt("a NumPy type has %s as its state", kind(state))
	}
	order, ok := asText(s[1])
	if !ok {
		return corrupt("a NumPy type has %s as its byte order", kind(s[1]))
	}
	switch order {
	case "<", "|", "=":
		t.bigEndian = false
	case ">":
		t.bigEndian = true
	default:
		return corrupt("a NumPy type has the byte order %s", quoted(order))
	}
	if s[2] != nil || s[3] != nil || s[4] != nil {
		t.dtype = 0
	}
	return nil
}

// setState handles (version, shape, type, Fortran order, content) of a NumPy array. A
// tensor's state has attributes, which are dropped.
func (a *array) setState(m *machine, state any) error {
	if !a.pending {
		return nil
	}
	a.pending = false
	s, ok := state.(tuple)
	if ok && len(s) == 4 { // before version 1
		s = append(tuple{int64(0)}, s...)
	}
	if !ok || len(s) != 5 {
		return corrupt("a NumPy array has %s as its state", kind(state))
	}
	fortran, ok := s[3].(bool)
	if n, isInt := s[3].(int64); isInt {
		fortran, ok = n != 0, true
	}
	if !ok {
		return corrupt("a NumPy array has %s where its order is expected", kind(s[3]))
	}
	return a.set(m, s[1], s[2], fortran, s[4])
}

// fromBuffer handles protocol 5: (content, type, shape, order).
func fromBuffer(m *machine, args tuple) (any, error) {
	if len(args) != 4 {
		return nil, corrupt("a NumPy array is made of %d arguments instead of 4", len(args))
	}
	order, ok := asText(args[3])
	if !ok || order != "C" && order != "F" {
		return nil, corrupt("a NumPy array has no order")
	}
	a := &array{}
	if err := a.set(m, args[2], args[1], order == "F", args[0]); err != nil {
		return nil, err
	}
	return a, m.charge(256)
}

func (a *array) set(m *machine, shape, dtype any, fortran bool, content any) error {
	t, ok := dtype.(*numpyType)
	if o, other := dtype.(*object); other {
		a.problem = unsupported("NumPy type %s is not supported", quoted(o.class))
		return nil
	}
	if !ok {
		return corrupt("a NumPy array has %s as its type", kind(dtype))
	}
	if a.shape, ok = asInts(shape); !ok {
		return corrupt("a NumPy array has %s as its shape", kind(shape))
	}
	if l, isList := content.(*list); isList && strings.TrimLeft(t.code, "<>|=") == "O8" {
		a.items = l.items
	}
	if store, ok := m.bytes(content); ok {
		a.whole = &numpyInts{t.code, t.bigEndian, fortran, store}
	}
	if t.dtype == 0 {
		a.problem = unsupported("NumPy type %s is not supported", quoted(t.code))
		return nil
	}
	n, err := elements(a.shape)
	if err != nil {
		a.problem = err
		return nil
	}
	store, ok := m.bytes(content)
	if !ok {
		return corrupt("a NumPy array has %s as its content", kind(content))
	}
	a.dtype, a.problem = t.dtype, nil
	if want := n * int64(t.dtype.Size()); store.n != want {
		a.problem = corrupt("%d bytes given for %d of %s %v", store.n, want, t.dtype, a.shape)
	}
	a.view = view{store: store, limit: n, strides: rowMajor(a.shape), bigEndian: t.bigEndian}
	if fortran {
		turned := slices.Clone(a.shape)
		slices.Reverse(turned)
		a.view.strides = rowMajor(turned)
		slices.Reverse(a.view.strides)
	}
	return m.charge(128 + 32*len(a.shape))
}

// bytes returns the place of a bytes value.
func (m *machine) bytes(v any) (*storage, bool) {
	switch v := v.(type) {
	case byteString:
		return &storage{strings.NewReader(string(v)), 0, int64(len(v))}, true
	case span:
		return &storage{m.in.r, v.off, v.n}, !v.utf8
	case *latin1Text:
		return &storage{v, 0, v.size}, true
	}
	return nil, false
}

// numpyScalar handles scalar(type, content) of a number.
func numpyScalar(m *machine, args tuple) (any, error) {
	if len(args) != 2 {
		return nil, corrupt("a NumPy scalar is made of %d arguments instead of 2", len(args))
	}
	t, ok := args[0].(*numpyType)
	if _, other := args[0].(*object); other {
		return &object{class: "numpy.generic"}, nil
	}
	if !ok {
		return nil, corrupt("a NumPy scalar has %s as its type", kind(args[0]))
	}
	b, ok := args[1].(byteString)
	if !ok || t.dtype == 0 || len(b) != t.dtype.Size() {
		return &object{class: "numpy.generic"}, nil
	}
	raw := []byte(b)
	if t.bigEndian {
		swapBytes(raw, len(raw))
	}
	return scalarValue(raw, t.dtype), nil
}

var _ io.ReaderAt = (*latin1Text)(nil)

func scalarValue(raw []byte, d DType) any {
	var bits uint64
	for i := len(raw) - 1; i >= 0; i-- {
		bits = bits<<8 | uint64(raw[i])
	}
	switch d {
	case Float64:
		return math.Float64frombits(bits)
	case Float32, Float16, BFloat16:
		var f [1]float32
		toFloat32(f[:], raw, d)
		return float64(f[0])
	case Bool:
		return bits != 0
	case Uint8:
		return int64(bits)
	}
	shift := 64 - 8*len(raw)
	return int64(bits<<shift) >> shift
}
