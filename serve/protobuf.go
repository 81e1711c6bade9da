package serve

import (
	"encoding/binary"
	"errors"
	"math"
)

// The few messages of the inference protocol are read and written here, without a module that
// importers would inherit (https://protobuf.dev/programming-guides/encoding).

// Wire types of fields.
const (
	wireVarint = 0
	wire64     = 1
	wireBytes  = 2
	wire32     = 5
)

var errProtobuf = errors.New("it is not a message of the protocol")

// A field of a message. bytes are a part of it.
type field struct {
	number uint64
	wire   int
	value  uint64 // of wireVarint, wire64 and wire32
	bytes  []byte // of wireBytes
}

// eachField calls f with all fields of a message in order.
func eachField(data []byte, f func(field) error) error {
	for len(data) > 0 {
		key, n := binary.Uvarint(data)
		if n <= 0 || key>>3 == 0 {
			return errProtobuf
		}
		data = data[n:]
		v := field{number: key >> 3, wire: int(key & 7)}
		switch v.wire {
		case wireVarint:
			if v.value, n = binary.Uvarint(data); n <= 0 {
				return errProtobuf
			}
		case wireBytes:
			length, prefix := binary.Uvarint(data)
			if prefix <= 0 || length > uint64(len(data)-prefix) {
				return errProtobuf
			}
			n = prefix + int(length)
			v.bytes = data[prefix:n]
		case wire64:
			if n = 8; len(data) < n {
				return errProtobuf
			}
			v.value = binary.LittleEndian.Uint64(data)
		case wire32:
			if n = 4; len(data) < n {
				return errProtobuf
			}
			v.value = uint64(binary.LittleEndian.Uint32(data))
		default:
			return errProtobuf
		}
		data = data[n:]
		if err := f(v); err != nil {
			return err
		}
	}
	return nil
}

// varints appends the values of a field of integers, of which several may be packed into bytes.
func (v field) varints(dst []int64) ([]int64, error) {
	if v.wire == wireVarint {
		return append(dst, int64(v.value)), nil
	}
	for data := v.bytes; len(data) > 0; {
		value, n := binary.Uvarint(data)
		if n <= 0 {
			return nil, errProtobuf
		}
		dst, data = append(dst, int64(value)), data[n:]
	}
	return dst, nil
}

// double is the value of a field of type double.
func (v field) double() float64 { return math.Float64frombits(v.value) }

func appendVarint(dst []byte, number, value uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(dst, number<<3|wireVarint), value)
}

func appendBytes[T ~string | ~[]byte](dst []byte, number uint64, value T) []byte {
	dst = binary.AppendUvarint(binary.AppendUvarint(dst, number<<3|wireBytes), uint64(len(value)))
	return append(dst, value...)
}
