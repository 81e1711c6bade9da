package tiff

import (
	"bytes"
	"fmt"
	"math"
)

// Types of values.
const (
	typeByte = iota + 1
	typeASCII
	typeShort
	typeLong
	typeRational
	typeSByte
	typeUndefined
	typeSShort
	typeSLong
	typeSRational
	typeFloat
	typeDouble
	typeIFD
	typeLong8  = 16
	typeSLong8 = 17
	typeIFD8   = 18
)

// typeSize returns the bytes of a value, 0 for an unknown type.
func typeSize(kind uint16) uint64 {
	switch kind {
	case typeByte, typeASCII, typeSByte, typeUndefined:
		return 1
	case typeShort, typeSShort:
		return 2
	case typeLong, typeSLong, typeFloat, typeIFD:
		return 4
	case typeRational, typeSRational, typeDouble, typeLong8, typeSLong8, typeIFD8:
		return 8
	}
	return 0
}

func (d directory) find(tag uint16) (entry, bool) {
	for _, e := range d {
		if e.tag == tag {
			return e, true
		}
	}
	return entry{}, false
}

// raw reads the bytes of the values of a tag: nil if the tag is absent.
func (f *File) raw(d directory, tag uint16) ([]byte, uint16, error) {
	e, ok := d.find(tag)
	if !ok {
		return nil, 0, nil
	}
	size := typeSize(e.kind)
	if size == 0 {
		return nil, 0, fmt.Errorf("tag %d has values of the unknown type %d", tag, e.kind)
	}
	if e.at < 0 || e.count > uint64(f.size)/size {
		return nil, 0, fmt.Errorf("tag %d: %w", tag, ErrTruncated)
	}
	b, err := f.bytes(uint64(e.at), e.count*size)
	if err != nil {
		return nil, 0, fmt.Errorf("tag %d: %w", tag, err)
	}
	return b, e.kind, nil
}

// numbers reads the values of a tag, whatever their type.
func (f *File) numbers(d directory, tag uint16) ([]float64, error) {
	b, kind, err := f.raw(d, tag)
	if err != nil || b == nil {
		return nil, err
	}
	size := int(typeSize(kind))
	out := make([]float64, len(b)/size)
	for i := range out {
		out[i] = f.number(b[i*size:], kind)
	}
	return out, nil
}

func (f *File) number(b []byte, kind uint16) float64 {
	switch kind {
	case typeByte, typeASCII, typeUndefined:
		return float64(b[0])
	case typeSByte:
		return float64(int8(b[0]))
	case typeShort:
		return float64(f.order.Uint16(b))
	case typeSShort:
		return float64(int16(f.order.Uint16(b)))
	case typeLong, typeIFD:
		return float64(f.order.Uint32(b))
	case typeSLong:
		return float64(int32(f.order.Uint32(b)))
	case typeFloat:
		return float64(math.Float32frombits(f.order.Uint32(b)))
	case typeDouble:
		return math.Float64frombits(f.order.Uint64(b))
	case typeRational:
		return float64(f.order.Uint32(b)) / float64(f.order.Uint32(b[4:]))
	case typeSRational:
		return float64(int32(f.order.Uint32(b))) / float64(int32(f.order.Uint32(b[4:])))
	}
	return float64(f.order.Uint64(b))
}

// integer reads the first value of a tag: otherwise if the tag is absent.
func (f *File) integer(d directory, tag uint16, otherwise int) (int, error) {
	e, ok := d.find(tag)
	if !ok || e.count == 0 {
		return otherwise, nil
	}
	size := typeSize(e.kind)
	if size == 0 || e.at < 0 {
		return 0, fmt.Errorf("tag %d has a value of the unknown type %d", tag, e.kind)
	}
	b, err := f.bytes(uint64(e.at), size)
	if err != nil {
		return 0, fmt.Errorf("tag %d: %w", tag, err)
	}
	v := f.number(b, e.kind)
	if !(v >= 0 && v <= math.MaxInt32) {
		return 0, fmt.Errorf("tag %d is %v", tag, v)
	}
	return int(v), nil
}

// integers reads the values of a tag as offsets and lengths.
func (f *File) integers(d directory, tag uint16) ([]uint64, error) {
	b, kind, err := f.raw(d, tag)
	if err != nil || b == nil {
		return nil, err
	}
	size := int(typeSize(kind))
	out := make([]uint64, len(b)/size)
	for i := range out {
		switch kind {
		case typeShort:
			out[i] = uint64(f.order.Uint16(b[i*size:]))
		case typeLong, typeIFD:
			out[i] = uint64(f.order.Uint32(b[i*size:]))
		case typeLong8, typeIFD8:
			out[i] = f.order.Uint64(b[i*size:])
		default:
			return nil, fmt.Errorf("tag %d has values of type %d, want integers", tag, kind)
		}
	}
	return out, nil
}

// text reads the text of a tag: empty if the tag is absent or damaged.
func (f *File) text(d directory, tag uint16) string {
	b, _, err := f.raw(d, tag)
	if err != nil {
		return ""
	}
	if end := bytes.IndexByte(b, 0); end >= 0 {
		b = b[:end]
	}
	return string(b)
}
