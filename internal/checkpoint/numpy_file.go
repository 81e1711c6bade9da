package checkpoint

import (
	"encoding/binary"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// numpyInts is where the content of a NumPy array lies. Whether that is of whole numbers is
// checked when it is read.
type numpyInts struct {
	code      string
	bigEndian bool
	fortran   bool
	store     *storage
}

// intSizes are the bytes of NumPy's types of whole numbers.
var intSizes = map[string]int{"b1": 1, "u1": 1, "i1": 1, "u2": 2, "i2": 2, "u4": 4, "i4": 4, "u8": 8, "i8": 8}

// NumPyInts is a NumPy array of whole numbers in row-major order. Numbers that 32
// unsigned bits do not hold are an error.
type NumPyInts struct {
	Shape  []int64
	Values []uint32
}

// maxNumPyInts bounds an array that ReadNumPyInts reads.
const maxNumPyInts = 100_000_000

// ReadNumPyInts reads an array of whole numbers from an .npy file: the only array, or that
// with a key, if the file has a pickled dictionary. As in checkpoints nothing in the
// pickle is executed.
func ReadNumPyInts(r io.ReaderAt, size int64, key string) (*NumPyInts, error) {
	header, start, err := readNumPyHeader(r, size)
	if err != nil {
		return nil, err
	}
	descr := headerField(header, `'descr':\s*'([^']*)'`)
	if strings.TrimLeft(descr, "<>|=") != "O" {
		shape, err := headerShape(header)
		if err != nil {
			return nil, err
		}
		content := &numpyInts{descr, strings.HasPrefix(descr, ">"), headerField(header, `'fortran_order':\s*(\w+)`) == "True",
			&storage{r, start, size - start}}
		return content.read(shape)
	}
	m := newMachine(newPickleInput(r, start, size, pickleBuffer), nil)
	root, err := m.run()
	if err != nil {
		return nil, annotate(err, "", Pickle, "")
	}
	outer, ok := root.(*array)
	if !ok || len(outer.items) != 1 {
		return nil, corrupt("an .npy file without a dictionary")
	}
	d, ok := outer.items[0].(*dict)
	if !ok {
		return nil, corrupt("%s where a dictionary is expected", kind(outer.items[0]))
	}
	v, _ := d.get(key)
	a, ok := v.(*array)
	if !ok || a.whole == nil {
		return nil, corrupt("the dictionary has no array %s", quoted(key))
	}
	return a.whole.read(a.shape)
}

// readNumPyHeader returns the text of the header and where the content starts.
func readNumPyHeader(r io.ReaderAt, size int64) (string, int64, error) {
	var start [12]byte
	if _, err := r.ReadAt(start[:], 0); err != nil && !errors.Is(err, io.EOF) {
		return "", 0, readError("the header", err)
	}
	if string(start[:6]) != "\x93NUMPY" {
		return "", 0, &FormatError{Reason: "not an .npy file of NumPy", Err: ErrNotCheckpoint}
	}
	n, from := int64(binary.LittleEndian.Uint16(start[8:])), int64(10)
	if start[6] > 1 {
		n, from = int64(binary.LittleEndian.Uint32(start[8:])), 12
	}
	if n > 1<<16 || from+n > size {
		return "", 0, corrupt("a header of %d bytes", n)
	}
	text := make([]byte, n)
	if _, err := r.ReadAt(text, from); err != nil && !errors.Is(err, io.EOF) {
		return "", 0, readError("the header", err)
	}
	return string(text), from + n, nil
}

func headerField(header, pattern string) string {
	if m := regexp.MustCompile(pattern).FindStringSubmatch(header); m != nil {
		return m[1]
	}
	return ""
}

func headerShape(header string) (shape []int64, err error) {
	for _, text := range strings.Split(headerField(header, `'shape':\s*\(([^)]*)\)`), ",") {
		if text = strings.TrimSpace(text); text != "" {
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return nil, corrupt("a shape with %s", quoted(text))
			}
			shape = append(shape, n)
		}
	}
	return shape, nil
}

func (c *numpyInts) read(shape []int64) (*NumPyInts, error) {
	size := intSizes[strings.TrimLeft(c.code, "<>|=")]
	if size == 0 {
		return nil, unsupported("an array of NumPy type %s, not of whole numbers", quoted(c.code))
	}
	n, err := elements(shape)
	if err != nil {
		return nil, err
	}
	if n > maxNumPyInts || n*int64(size) != c.store.n {
		return nil, corrupt("%d bytes given for an array of %v numbers of %d bytes", c.store.n, shape, size)
	}
	raw := make([]byte, c.store.n)
	if err := c.store.readAt(raw, 0); err != nil {
		return nil, err
	}
	signed := strings.Contains(c.code, "i")
	out := &NumPyInts{Shape: shape, Values: make([]uint32, n)}
	for i := range out.Values {
		b := raw[i*size:][:size]
		var v uint64
		for k := range b {
			at := size - 1 - k
			if c.bigEndian {
				at = k
			}
			v = v<<8 | uint64(b[at])
		}
		if v > 1<<32-1 || signed && v>>(8*size-1) != 0 {
			return nil, unsupported("a number that is negative or has more than 32 bits")
		}
		out.Values[i] = uint32(v)
	}
	if c.fortran && len(shape) == 2 {
		turned := make([]uint32, n)
		rows, columns := int(shape[0]), int(shape[1])
		for i := range turned {
			turned[i] = out.Values[i%columns*rows+i/columns]
		}
		out.Values = turned
	}
	return out, nil
}
