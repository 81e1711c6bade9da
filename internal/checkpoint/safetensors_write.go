package checkpoint

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"sort"
	"unicode/utf8"
)

// Source is a tensor to be written.
type Source struct {
	Name  string
	DType DType
	Shape []int64
	// WriteTo writes the values in row-major order, little-endian: exactly the
	// product of Shape times DType.Size() bytes.
	WriteTo func(w io.Writer) error
}

// Source returns t for [WriteSafetensors].
func (t *Tensor) Source() Source {
	return Source{Name: t.Name, DType: t.DType, Shape: t.Shape, WriteTo: func(w io.Writer) error {
		raw := make([]byte, t.bytes())
		if err := t.ReadInto(raw); err != nil {
			return err
		}
		_, err := w.Write(raw)
		return err
	}}
}

// WriteSafetensors writes tensors as a safetensors file: wide element types first,
// so that all values are aligned, otherwise in the given order. Each tensor is
// asked for its values when its turn comes; nothing is kept.
func WriteSafetensors(w io.Writer, tensors []Source, metadata map[string]string) error {
	sorted := append([]Source(nil), tensors...)
	sort.SliceStable(sorted, func(i, j int) bool { return sorted[i].DType.Size() > sorted[j].DType.Size() })
	header, err := encodeHeader(sorted, metadata)
	if err != nil {
		return err
	}
	b := bufio.NewWriterSize(w, 1<<16)
	var prefix [8]byte
	binary.LittleEndian.PutUint64(prefix[:], uint64(len(header)))
	if _, err := b.Write(append(prefix[:], header...)); err != nil {
		return fmt.Errorf("checkpoint: writing the header: %w", err)
	}
	for _, s := range sorted {
		n, _ := elements(s.Shape)
		c := &countingWriter{w: b, left: n * int64(s.DType.Size())}
		if err := s.WriteTo(c); err != nil {
			return fmt.Errorf("checkpoint: writing tensor %q: %w", s.Name, err)
		}
		if c.left != 0 {
			return fmt.Errorf("checkpoint: writing tensor %q: %d bytes are missing for %s %v", s.Name, c.left, s.DType, s.Shape)
		}
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("checkpoint: writing: %w", err)
	}
	return nil
}

// encodeHeader returns the JSON header, padded to a multiple of 8 bytes.
func encodeHeader(tensors []Source, metadata map[string]string) ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	if len(metadata) > 0 {
		for k, v := range metadata {
			if !utf8.ValidString(k) || !utf8.ValidString(v) {
				return nil, fmt.Errorf("checkpoint: metadata %q is not UTF-8", k)
			}
		}
		b.WriteString(`"__metadata__":`)
		if err := encodeJSON(&b, metadata); err != nil {
			return nil, err
		}
	}
	seen := map[string]bool{"__metadata__": true}
	at := int64(0)
	for _, s := range tensors {
		n, err := elements(s.Shape)
		size := int64(s.DType.Size())
		switch {
		case err != nil:
			return nil, annotate(err, "", Safetensors, s.Name)
		case size == 0 || s.WriteTo == nil:
			return nil, fmt.Errorf("checkpoint: tensor %q has no element type or no values", s.Name)
		case seen[s.Name]:
			return nil, fmt.Errorf("checkpoint: the name %q is taken", s.Name)
		case !utf8.ValidString(s.Name):
			return nil, fmt.Errorf("checkpoint: the name %q is not UTF-8", s.Name)
		case n*size > (1<<62)-at:
			return nil, fmt.Errorf("checkpoint: tensor %q does not fit a file", s.Name)
		}
		seen[s.Name] = true
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		if err := encodeJSON(&b, s.Name); err != nil {
			return nil, err
		}
		b.WriteByte(':')
		entry := struct {
			DType   string   `json:"dtype"`
			Shape   []int64  `json:"shape"`
			Offsets [2]int64 `json:"data_offsets"`
		}{dtypes[s.DType].tag, append([]int64{}, s.Shape...), [2]int64{at, at + n*size}}
		if err := encodeJSON(&b, entry); err != nil {
			return nil, err
		}
		at += n * size
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 {
		b.WriteByte(' ')
	}
	if b.Len() > maxHeader {
		return nil, fmt.Errorf("checkpoint: a header of %d bytes is more than the format allows", b.Len())
	}
	return b.Bytes(), nil
}

func encodeJSON(b *bytes.Buffer, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("checkpoint: encoding the header: %w", err)
	}
	b.Write(raw)
	return nil
}

// countingWriter passes on at most left bytes.
type countingWriter struct {
	w    io.Writer
	left int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	if int64(len(p)) > c.left {
		return 0, fmt.Errorf("%d bytes more than its shape has", int64(len(p))-c.left)
	}
	n, err := c.w.Write(p)
	c.left -= int64(n)
	return n, err
}
