package checkpoint

import (
	"bytes"
	"encoding/binary"
	"io"
)

// pickleInput reads a pickle front to back through a small buffer and knows its position.
type pickleInput struct {
	r        io.ReaderAt
	pos, end int64
	buf      []byte // bytes of the file from pos on
	space    []byte
}

// newPickleInput reads from pos to end. The buffer holds the longest run that is
// peeked at.
func newPickleInput(r io.ReaderAt, pos, end int64, buffer int) *pickleInput {
	size := min(int64(max(buffer, maxShort)), end-pos)
	return &pickleInput{r: r, pos: pos, end: end, space: make([]byte, size)}
}

// peek makes the next n bytes available without consuming them; n is at most len(space).
func (in *pickleInput) peek(n int) ([]byte, error) {
	if n > len(in.buf) {
		if int64(n) > in.end-in.pos {
			return nil, corrupt("the file ends inside a pickle")
		}
		in.buf = in.space[:min(int64(len(in.space)), in.end-in.pos)]
		if got, err := in.r.ReadAt(in.buf, in.pos); got < len(in.buf) {
			in.buf = nil
			return nil, readError("a pickle", err)
		}
	}
	return in.buf[:n], nil
}

// take returns the next n bytes, valid until the next call.
func (in *pickleInput) take(n int) ([]byte, error) {
	b, err := in.peek(n)
	if err != nil {
		return nil, err
	}
	in.buf = in.buf[n:]
	in.pos += int64(n)
	return b, nil
}

func (in *pickleInput) skip(n int64) error {
	if n > in.end-in.pos {
		return corrupt("%d bytes are claimed at position %d, of which the file has %d", n, in.pos, in.end-in.pos)
	}
	in.pos += n
	if n <= int64(len(in.buf)) {
		in.buf = in.buf[n:]
	} else {
		in.buf = nil
	}
	return nil
}

// uint reads a little-endian unsigned number of 1, 2, 4 or 8 bytes.
func (in *pickleInput) uint(n int) (uint64, error) {
	b, err := in.take(n)
	if err != nil {
		return 0, err
	}
	var full [8]byte
	copy(full[:], b)
	return binary.LittleEndian.Uint64(full[:]), nil
}

// line reads up to a newline, which it drops.
func (in *pickleInput) line() (string, error) {
	for n := 1; n <= maxShort; n++ {
		b, err := in.peek(n)
		if err != nil {
			return "", err
		}
		if b[n-1] == '\n' {
			b, err = in.take(n)
			if err != nil {
				return "", err
			}
			return string(b[:n-1]), nil
		}
	}
	return "", corrupt("a line in a pickle is longer than %d bytes", maxShort)
}

// longLine reads up to a newline, which it drops, however long that is.
func (in *pickleInput) longLine() (string, error) {
	var line []byte
	for {
		if _, err := in.peek(1); err != nil {
			return "", err
		}
		b := in.buf
		if end := bytes.IndexByte(b, '\n'); end >= 0 {
			line = append(line, b[:end]...)
			_, err := in.take(end + 1)
			return string(line), err
		}
		line = append(line, b...)
		if _, err := in.take(len(b)); err != nil {
			return "", err
		}
	}
}
