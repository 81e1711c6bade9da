package checkpoint

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strings"
)

// A NumPyArray is an array to write.
type NumPyArray struct {
	Type  string // of NumPy: "<u2", "|b1" …
	Shape []int
	Data  []byte // in C order
}

// A NumPyEntry is an entry of a dictionary: a string, a float64, a list of int, or a *NumPyArray.
type NumPyEntry struct {
	Key   string
	Value any
}

// WriteNumPyDict writes an .npy file of an array without dimensions that holds a dictionary, as
// numpy.save writes a dict. It is read with allow_pickle; the pickle makes arrays only.
func WriteNumPyDict(w io.Writer, entries []NumPyEntry) error {
	header := "{'descr': '|O', 'fortran_order': False, 'shape': (), }"
	header += strings.Repeat(" ", 63-(10+len(header))%64) + "\n"
	var p pickler
	p.Write([]byte{opProto, 4})
	err := p.array("O8", "|", 63, nil, func() error {
		p.Write([]byte{opEmptyList, opEmptyDict, opMark})
		for _, e := range entries {
			p.text(e.Key)
			if err := p.entry(e.Value); err != nil {
				return err
			}
		}
		p.Write([]byte{opSetItems, opAppend})
		return nil
	})
	if err != nil {
		return err
	}
	p.WriteByte(opStop)
	head := append([]byte("\x93NUMPY\x01\x00"), byte(len(header)), byte(len(header)>>8))
	if _, err := w.Write(append(head, header...)); err != nil {
		return err
	}
	_, err = w.Write(p.Bytes())
	return err
}

func (p *pickler) entry(v any) error {
	switch v := v.(type) {
	case string:
		p.text(v)
	case float64:
		p.WriteByte(opBinFloat)
		p.Write(binary.BigEndian.AppendUint64(nil, math.Float64bits(v)))
	case []int:
		p.Write([]byte{opEmptyList, opMark})
		for _, n := range v {
			p.integer(int64(n))
		}
		p.WriteByte(opAppends)
	case *NumPyArray:
		return p.array(v.Type[1:], v.Type[:1], 0, v.Shape, func() error {
			p.WriteByte(opBinBytes8)
			p.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(v.Data))))
			p.Write(v.Data)
			return nil
		})
	default:
		return fmt.Errorf("checkpoint: a dictionary entry of type %T", v)
	}
	return nil
}

// array makes an empty array and gives it shape, type and content, as NumPy's own pickles do.
func (p *pickler) array(kind, order string, flags int64, shape []int, content func() error) error {
	p.global("numpy.core.multiarray", "_reconstruct")
	p.global("numpy", "ndarray")
	p.integers([]int64{0})
	p.Write([]byte{opShortBinBytes, 1, 'b', opTuple3, opReduce})
	p.WriteByte(opMark) // the state
	p.integer(1)
	sides := make([]int64, len(shape))
	for i, n := range shape {
		sides[i] = int64(n)
	}
	p.integers(sides)
	p.global("numpy", "dtype")
	p.text(kind)
	p.Write([]byte{opNewFalse, opNewTrue, opTuple3, opReduce, opMark})
	p.integer(3)
	p.text(order)
	p.Write([]byte{opNone, opNone, opNone})
	p.integer(-1)
	p.integer(-1)
	p.integer(flags)
	p.Write([]byte{opTuple, opBuild, opNewFalse}) // rows, not columns, one after the other
	if err := content(); err != nil {
		return err
	}
	p.Write([]byte{opTuple, opBuild})
	return nil
}
