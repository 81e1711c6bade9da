package checkpoint

import (
	"bytes"
	"encoding/binary"
	"maps"
	"slices"
	"strconv"
)

// storageNames are PyTorch's storage classes by the type of their elements.
var storageNames = map[DType]string{
	Float64: "DoubleStorage", Float32: "FloatStorage", Float16: "HalfStorage", BFloat16: "BFloat16Storage", Int64: "LongStorage",
	Int32: "IntStorage", Int16: "ShortStorage", Int8: "CharStorage", Uint8: "ByteStorage", Bool: "BoolStorage",
}

// pickleState is data.pkl of an archive whose storage i is that of tensor i.
func pickleState(tensors []Source, metadata map[string]string) ([]byte, error) {
	if err := checkPyTorch(tensors, metadata); err != nil {
		return nil, err
	}
	var p pickler
	p.Write([]byte{opProto, 2, opEmptyDict, opMark})
	p.text("model")
	p.emptyOrderedDict()
	if len(tensors) > 0 {
		p.WriteByte(opMark)
		for i, s := range tensors {
			p.text(s.Name)
			p.tensor(s, i)
		}
		p.WriteByte(opSetItems)
	}
	for _, k := range slices.Sorted(maps.Keys(metadata)) {
		p.text(k)
		p.text(metadata[k])
	}
	p.Write([]byte{opSetItems, opStop})
	return p.Bytes(), nil
}

// pickler writes opcodes of pickle protocol 2, which every PyTorch reads.
type pickler struct{ bytes.Buffer }

func (p *pickler) text(s string) {
	p.WriteByte(opBinUnicode)
	p.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(s))))
	p.WriteString(s)
}

func (p *pickler) global(module, name string) {
	p.WriteByte(opGlobal)
	p.WriteString(module + "\n" + name + "\n")
}

func (p *pickler) integer(n int64) {
	if n >= 0 && n < 1<<31 {
		p.WriteByte(opBinInt)
		p.Write(binary.LittleEndian.AppendUint32(nil, uint32(n)))
		return
	}
	p.Write([]byte{opLong1, 8})
	p.Write(binary.LittleEndian.AppendUint64(nil, uint64(n)))
}

func (p *pickler) integers(list []int64) {
	p.WriteByte(opMark)
	for _, n := range list {
		p.integer(n)
	}
	p.WriteByte(opTuple)
}

func (p *pickler) emptyOrderedDict() {
	p.global("collections", "OrderedDict")
	p.Write([]byte{opEmptyTuple, opReduce})
}

// tensor writes a call of _rebuild_tensor_v2(storage, offset, size, stride,
// requires_grad, hooks) on the whole of a storage.
func (p *pickler) tensor(s Source, storage int) {
	n, _ := elements(s.Shape)
	p.global("torch._utils", "_rebuild_tensor_v2")
	p.WriteByte(opMark)

	p.WriteByte(opMark)
	p.text("storage")
	p.global("torch", storageNames[s.DType])
	p.text(strconv.Itoa(storage))
	p.text("cpu")
	p.integer(n)
	p.Write([]byte{opTuple, opBinPersID})

	p.integer(0)
	p.integers(s.Shape)
	p.integers(rowMajor(s.Shape))
	p.WriteByte(opNewFalse)
	p.emptyOrderedDict()
	p.Write([]byte{opTuple, opReduce})
}
