package checkpoint

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"sort"
	"strconv"
	"unicode/utf8"
)

// maxHeader is the limit of the reference implementation.
const maxHeader = 100_000_000

// headerEntry is one tensor of the header: its bytes are [begin, end) of the data.
type headerEntry struct {
	tensor     *Tensor
	begin, end int64
}

func readSafetensors(r io.ReaderAt, size int64) (*File, error) {
	f, err := parseSafetensors(r, size)
	return f, annotate(err, "", Safetensors, "")
}

func parseSafetensors(r io.ReaderAt, size int64) (*File, error) {
	var prefix [8]byte
	if size < 8 {
		return nil, corrupt("the file has %d bytes, fewer than its header needs", size)
	}
	if n, err := r.ReadAt(prefix[:], 0); n < len(prefix) {
		return nil, readError("the header's length", err)
	}
	n := binary.LittleEndian.Uint64(prefix[:])
	if n > maxHeader {
		return nil, corrupt("a header of %d bytes is claimed, more than %d", n, maxHeader)
	}
	length := int64(n)
	if length > size-8 {
		return nil, corrupt("a header of %d bytes is claimed in a file of %d", length, size)
	}
	header := make([]byte, length)
	if n, err := r.ReadAt(header, 8); n < len(header) {
		return nil, readError("the header", err)
	}
	entries, metadata, err := parseHeader(header)
	if err != nil {
		return nil, err
	}
	if err := layOut(entries, r, 8+length, size); err != nil {
		return nil, err
	}
	f := &File{Format: Safetensors, Metadata: metadata}
	for _, e := range entries {
		f.Tensors = append(f.Tensors, e.tensor)
	}
	return f, nil
}

// layOut sorts the entries by position, verifies that they cover the data without
// gap or overlap, and gives each tensor its storage.
func layOut(entries []headerEntry, r io.ReaderAt, start, size int64) error {
	sort.SliceStable(entries, func(i, j int) bool {
		a, b := entries[i], entries[j]
		if a.begin != b.begin {
			return a.begin < b.begin
		}
		return a.end < b.end
	})
	at := int64(0)
	for _, e := range entries {
		t := e.tensor
		n, err := elements(t.Shape)
		if err != nil {
			return annotate(err, "", 0, t.Name)
		}
		switch bytes := n * int64(t.DType.Size()); {
		case e.end < e.begin:
			err = corrupt("it ends at %d before it begins at %d", e.end, e.begin)
		case e.begin < at:
			err = corrupt("it begins at %d inside the tensor before, which ends at %d", e.begin, at)
		case e.begin > at:
			err = corrupt("%d unused bytes before it, at %d", e.begin-at, at)
		case e.end > size-start:
			err = corrupt("it ends at %d but the file has only %d bytes of values", e.end, size-start)
		case e.end-e.begin != bytes:
			err = corrupt("%d bytes given for %d of %s %v", e.end-e.begin, bytes, t.DType, t.Shape)
		}
		if err != nil {
			return annotate(err, "", 0, t.Name)
		}
		at = e.end
		t.view = view{
			store:   &storage{r, start + e.begin, e.end - e.begin},
			limit:   n,
			strides: rowMajor(t.Shape),
		}
	}
	if at != size-start {
		return corrupt("%d bytes after the last tensor", size-start-at)
	}
	return nil
}

// headerParser reads the JSON header token by token, because encoding/json
// accepts duplicate keys.
type headerParser struct{ dec *json.Decoder }

func parseHeader(header []byte) ([]headerEntry, map[string]string, error) {
	if !utf8.Valid(header) {
		return nil, nil, corrupt("the header is not UTF-8")
	}
	if len(header) == 0 || header[0] != '{' {
		return nil, nil, corrupt("the header does not begin with {")
	}
	p := headerParser{json.NewDecoder(bytes.NewReader(header))}
	p.dec.UseNumber()
	var entries []headerEntry
	metadata := map[string]string{}
	err := p.object("the header", func(name string) error {
		if name == "__metadata__" {
			return p.object("__metadata__", func(key string) error {
				v, err := p.text(key)
				metadata[key] = v
				return err
			})
		}
		e, err := p.entry(name)
		entries = append(entries, e)
		return annotate(err, "", 0, name)
	})
	if err != nil {
		return nil, nil, err
	}
	rest := header[p.dec.InputOffset():]
	if len(bytes.TrimRight(rest, " \t\r\n")) > 0 {
		return nil, nil, corrupt("the header has %d bytes after its end", len(rest))
	}
	return entries, metadata, nil
}

func (p headerParser) token() (json.Token, error) {
	t, err := p.dec.Token()
	if err != nil {
		return nil, corrupt("the header is not valid JSON: %v", err)
	}
	return t, nil
}

func (p headerParser) delim(d json.Delim, what string) error {
	t, err := p.token()
	if err == nil && t != d {
		err = corrupt("%s: %v found where %v is expected", quoted(what), t, d)
	}
	return err
}

// object calls member for each key, which must read the value.
func (p headerParser) object(what string, member func(key string) error) error {
	if err := p.delim('{', what); err != nil {
		return err
	}
	seen := map[string]bool{}
	for p.dec.More() {
		t, err := p.token()
		if err != nil {
			return err
		}
		key, ok := t.(string)
		if !ok {
			return corrupt("%s has a key that is not a string", quoted(what))
		}
		if seen[key] {
			return corrupt("%s has the key %s twice", quoted(what), quoted(key))
		}
		seen[key] = true
		if err := member(key); err != nil {
			return err
		}
	}
	return p.delim('}', what)
}

func (p headerParser) text(what string) (string, error) {
	t, err := p.token()
	if err != nil {
		return "", err
	}
	s, ok := t.(string)
	if !ok {
		return "", corrupt("%s is not a string", quoted(what))
	}
	return s, nil
}

// integers reads an array of at most most non-negative integers.
func (p headerParser) integers(what string, most int) ([]int64, error) {
	if err := p.delim('[', what); err != nil {
		return nil, err
	}
	list := []int64{}
	for p.dec.More() {
		t, err := p.token()
		if err != nil {
			return nil, err
		}
		n, ok := t.(json.Number)
		v, err := strconv.ParseInt(string(n), 10, 64)
		if !ok || err != nil || v < 0 || n[0] == '-' {
			return nil, corrupt("%s holds %v, not an unsigned integer", what, t)
		}
		if len(list) == most {
			return nil, corrupt("%s holds more than %d numbers", what, most)
		}
		list = append(list, v)
	}
	return list, p.delim(']', what)
}

func (p headerParser) entry(name string) (headerEntry, error) {
	e := headerEntry{tensor: &Tensor{Name: name}}
	var offsets []int64
	err := p.object(name, func(key string) (err error) {
		switch key {
		case "dtype":
			var tag string
			if tag, err = p.text("dtype"); err != nil {
				return err
			}
			for d := range dtypes {
				if d > 0 && dtypes[d].tag == tag {
					e.tensor.DType = DType(d)
				}
			}
			if e.tensor.DType == 0 {
				return unsupported("element type %s is not supported", quoted(tag))
			}
		case "shape":
			e.tensor.Shape, err = p.integers("shape", maxRank)
		case "data_offsets":
			offsets, err = p.integers("data_offsets", 2)
		default:
			err = corrupt("unknown key %s", quoted(key))
		}
		return err
	})
	if err != nil {
		return e, err
	}
	if e.tensor.DType == 0 || e.tensor.Shape == nil || len(offsets) != 2 {
		return e, corrupt("dtype, shape or one of the two data_offsets is missing")
	}
	e.begin, e.end = offsets[0], offsets[1]
	return e, nil
}
