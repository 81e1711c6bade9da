// Package pickletest writes checkpoints as training programs do, for tests: dictionaries
// of tensors, and of objects of classes that exist nowhere.
package pickletest

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
)

// Values of a checkpoint, beside nil, bool, int, float64 and string.
type (
	Dict   [][2]any // an OrderedDict of keys and values
	List   []any
	Tuple  []any
	Raw    string // opcodes that leave one value on the stack
	Tensor struct {
		Shape   []int
		Values  []float32
		Storage string // class of the storage; FloatStorage if empty
	}
	// Object is an object of any class. It is made by a call with Args; Items are set as a
	// dictionary's and State as attributes.
	Object struct {
		Class string // with its module
		Args  Tuple
		Items Dict
		State any
	}
)

// PTH returns a file of torch.save in the zip form.
func PTH(root any) []byte {
	p := pickler{}
	p.WriteString("\x80\x02")
	p.value(root)
	p.WriteString(".")
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	add := func(name string, data []byte) {
		w, err := z.CreateHeader(&zip.FileHeader{Name: "archive/" + name, Method: zip.Store})
		if err == nil {
			_, err = w.Write(data)
		}
		if err != nil {
			panic(err)
		}
	}
	add("data.pkl", p.Bytes())
	for i, data := range p.storages {
		add(fmt.Sprintf("data/%d", i), data)
	}
	add("version", []byte("3\n"))
	if err := z.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

type pickler struct {
	bytes.Buffer
	storages [][]byte
}

func (p *pickler) text(s string) {
	p.WriteByte('X')
	p.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(s))))
	p.WriteString(s)
}

func (p *pickler) integer(n int) {
	p.WriteByte('J')
	p.Write(binary.LittleEndian.AppendUint32(nil, uint32(int32(n))))
}

func (p *pickler) global(class string) {
	dot := strings.LastIndexByte(class, '.')
	p.WriteString("c" + class[:dot] + "\n" + class[dot+1:] + "\n")
}

func (p *pickler) items(d Dict) {
	p.WriteByte('(')
	for _, i := range d {
		p.value(i[0])
		p.value(i[1])
	}
	p.WriteByte('u')
}

func (p *pickler) value(v any) {
	switch v := v.(type) {
	case nil:
		p.WriteByte('N')
	case bool:
		p.WriteByte(map[bool]byte{true: 0x88, false: 0x89}[v])
	case int:
		p.integer(v)
	case float64:
		p.WriteByte('G')
		p.Write(binary.BigEndian.AppendUint64(nil, math.Float64bits(v)))
	case string:
		p.text(v)
	case Raw:
		p.WriteString(string(v))
	case Dict:
		p.global("collections.OrderedDict")
		p.WriteString(")R")
		p.items(v)
	case List:
		p.WriteString("](")
		for _, item := range v {
			p.value(item)
		}
		p.WriteByte('e')
	case Tuple:
		p.WriteByte('(')
		for _, item := range v {
			p.value(item)
		}
		p.WriteByte('t')
	case Tensor:
		p.tensor(v)
	case Object:
		p.global(v.Class)
		p.value(v.Args)
		p.WriteByte('R')
		if len(v.Items) > 0 {
			p.items(v.Items)
		}
		if v.State != nil {
			p.value(v.State)
			p.WriteByte('b')
		}
	default:
		panic(fmt.Sprintf("pickletest: %T", v))
	}
}

func (p *pickler) tensor(t Tensor) {
	var data []byte
	for _, v := range t.Values {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
	}
	class := t.Storage
	if class == "" {
		class = "FloatStorage"
	}
	shape, strides := Tuple{}, make(Tuple, len(t.Shape))
	n := 1
	for i := len(t.Shape) - 1; i >= 0; i-- {
		strides[i] = n
		n *= t.Shape[i]
	}
	for _, extent := range t.Shape {
		shape = append(shape, extent)
	}
	p.global("torch._utils._rebuild_tensor_v2")
	p.WriteString("((")
	p.text("storage")
	p.global("torch." + class)
	p.text(fmt.Sprint(len(p.storages)))
	p.text("cpu")
	p.integer(len(t.Values))
	p.WriteString("tQ")
	p.integer(0)
	p.value(shape)
	p.value(strides)
	p.WriteString("\x89")
	p.value(Dict{})
	p.WriteString("tR")
	p.storages = append(p.storages, data)
}
