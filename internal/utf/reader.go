// Package utf reads text files as people's tools write them: with a byte order mark, or
// in UTF-16.
package utf

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/diffusioninst/go/internal/nilcheck"
)

// NewReader returns a reader of the text of r in UTF-8, without a byte order mark. UTF-32 is
// recognised by its mark, UTF-16
// by its mark or, in text that starts with an ASCII character, by the zero
// byte beside it. All else is passed on as it is.
func NewReader(r io.Reader) io.Reader {
	if nilcheck.Is(r) {
		r = failing{errors.New("there is nothing to read: the reader is nil")}
	}
	return &reader{r: r}
}

// reader decides with the first read.
type reader struct {
	r, text io.Reader
}

func (d *reader) Read(p []byte) (int, error) {
	if d.text == nil {
		d.text = decoder(d.r)
	}
	return d.text.Read(p)
}

func decoder(r io.Reader) io.Reader {
	var first [4]byte
	n, err := io.ReadFull(r, first[:])
	head, rest := first[:n], r
	if err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = io.EOF
		}
		rest = failing{err}
	}
	from := func(skip int) io.Reader {
		if skip == n {
			return rest
		}
		return io.MultiReader(bytes.NewReader(head[skip:]), rest)
	}
	wide := func(skip int, order binary.ByteOrder) io.Reader {
		return &utf16Reader{r: bufio.NewReader(from(skip)), order: order}
	}
	switch {
	case bytes.HasPrefix(head, []byte("\xEF\xBB\xBF")):
		return from(3)
	case n == 4 && string(head) == "\xFF\xFE\x00\x00":
		return &utf32Reader{r: rest, order: binary.LittleEndian}
	case n == 4 && string(head) == "\x00\x00\xFE\xFF":
		return &utf32Reader{r: rest, order: binary.BigEndian}
	case n < 2:
	case head[0] == 0xFF && head[1] == 0xFE:
		return wide(2, binary.LittleEndian)
	case head[0] == 0xFE && head[1] == 0xFF:
		return wide(2, binary.BigEndian)
	case head[0] != 0 && head[0] < utf8.RuneSelf && head[1] == 0:
		return wide(0, binary.LittleEndian)
	case head[0] == 0 && head[1] != 0 && head[1] < utf8.RuneSelf:
		return wide(0, binary.BigEndian)
	}
	return from(0)
}

// failing is a reader that fails.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// utf16Reader turns UTF-16 into UTF-8. What is not a character becomes U+FFFD.
type utf16Reader struct {
	r       *bufio.Reader
	order   binary.ByteOrder
	pending []byte // UTF-8 that did not fit into the last read
	unit    rune   // a unit read ahead, valid if ahead
	ahead   bool
	err     error
}

func (u *utf16Reader) Read(p []byte) (int, error) {
	n := copy(p, u.pending)
	u.pending = u.pending[n:]
	for n < len(p) && u.err == nil {
		var c rune
		if c, u.err = u.char(); u.err != nil {
			break
		}
		var text [utf8.UTFMax]byte
		size := utf8.EncodeRune(text[:], c)
		k := copy(p[n:], text[:size])
		n += k
		u.pending = append(u.pending[:0], text[k:size]...)
	}
	if n > 0 || len(p) == 0 {
		return n, nil
	}
	return 0, u.err
}

func (u *utf16Reader) char() (rune, error) {
	c, err := u.next()
	if err != nil || !utf16.IsSurrogate(c) {
		return c, err
	}
	low, err := u.next()
	if err != nil {
		return utf8.RuneError, nil // the error comes again
	}
	if pair := utf16.DecodeRune(c, low); pair != utf8.RuneError {
		return pair, nil
	}
	u.unit, u.ahead = low, true
	return utf8.RuneError, nil
}

func (u *utf16Reader) next() (rune, error) {
	if u.ahead {
		u.ahead = false
		return u.unit, nil
	}
	var two [2]byte
	if _, err := io.ReadFull(u.r, two[:]); err != nil {
		return 0, err
	}
	return rune(u.order.Uint16(two[:])), nil
}
