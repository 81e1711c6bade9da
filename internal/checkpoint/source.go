package checkpoint

import (
	"fmt"
	"io"
	"unicode/utf8"
)

// A Source is a tensor to be written.
type Source struct {
	Name  string
	DType DType
	Shape []int64
	// WriteTo writes the values in row-major order, little-endian: exactly the
	// product of Shape times DType.Size() bytes.
	WriteTo func(w io.Writer) error
}

// Source returns t, to be written elsewhere.
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

// check returns the number of bytes of the values and adds the name to those that are taken.
func (s Source) check(taken map[string]bool) (int64, error) {
	n, err := elements(s.Shape)
	size := int64(s.DType.Size())
	switch {
	case err != nil:
		return 0, annotate(err, "", 0, s.Name)
	case size == 0 || s.WriteTo == nil:
		return 0, fmt.Errorf("checkpoint: tensor %q has no element type or no values", s.Name)
	case taken[s.Name]:
		return 0, fmt.Errorf("checkpoint: the name %q is taken", s.Name)
	case !utf8.ValidString(s.Name):
		return 0, fmt.Errorf("checkpoint: the name %q is not UTF-8", s.Name)
	}
	taken[s.Name] = true
	return n * size, nil
}

// write writes the values of a source that check has passed.
func (s Source) write(w io.Writer) error {
	n, _ := elements(s.Shape)
	c := &countingWriter{w: w, left: n * int64(s.DType.Size())}
	if err := s.WriteTo(c); err != nil {
		return fmt.Errorf("checkpoint: writing tensor %q: %w", s.Name, err)
	}
	if c.left != 0 {
		return fmt.Errorf("checkpoint: writing tensor %q: %d bytes are missing for %s %v", s.Name, c.left, s.DType, s.Shape)
	}
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
