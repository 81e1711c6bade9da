package coco

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

const (
	firstBuffer = 4 << 10 // of the window; it grows to scanBuffer for long inputs
	scanBuffer  = 256 << 10
	maxDepth    = 512 // nested arrays and objects
)

// A scanner pulls JSON values from a stream. It holds a window of the text that
// only grows to the longest single string or raw value, so what it allocates is
// bounded by the input. After an error it is of no further use.
type scanner struct {
	r        io.Reader
	buf      []byte // window of the text: buf[pos:] is unread
	pos      int
	keep     int   // start of what the window must not drop, or -1
	hold     int64 // the same as an offset in the input, for values that may be read again, or -1
	base     int64 // offset of buf[0] in the input
	eof      bool
	readErr  error
	depth    int
	unescape []byte
	skipped  []byte

	// lenient takes NaN and Infinity, as Python writes them, for null where a value is
	// skipped.
	lenient bool

	latin1  foreign // strings that were taken for Latin-1
	garbled foreign // strings of an unknown encoding, with U+FFFD for what is not UTF-8
}

// foreign counts strings that are not UTF-8.
type foreign struct {
	count int
	at    int64  // offset of the first
	text  string // as it was read
}

func (f *foreign) add(at int64, text []byte) {
	if f.count++; f.count == 1 {
		f.at, f.text = at, fmt.Sprintf("%.60q", text)
	}
}

func newScanner(r io.Reader) *scanner {
	return &scanner{r: r, buf: make([]byte, 0, firstBuffer), keep: -1, hold: -1}
}

// failf is an error at the current place of the input.
func (s *scanner) failf(format string, args ...any) error {
	if s.readErr != nil {
		return s.readErr
	}
	return fmt.Errorf("byte %d: %s", s.base+int64(s.pos), fmt.Sprintf(format, args...))
}

// fill reads more text behind the window and reports whether there was any.
func (s *scanner) fill() bool {
	if s.eof {
		return false
	}
	from := s.pos
	if s.keep >= 0 && s.keep < from {
		from = s.keep
	}
	if held := int(s.hold - s.base); s.hold >= 0 && held < from {
		from = held
	}
	if from > 0 {
		n := copy(s.buf, s.buf[from:])
		s.buf = s.buf[:n]
		s.pos -= from
		s.base += int64(from)
		if s.keep >= 0 {
			s.keep -= from
		}
	}
	if len(s.buf) == cap(s.buf) || s.base > 0 && cap(s.buf) < scanBuffer {
		grown := make([]byte, len(s.buf), 2*cap(s.buf))
		copy(grown, s.buf)
		s.buf = grown
	}
	for empty := 0; empty < 100; empty++ {
		n, err := s.r.Read(s.buf[len(s.buf):cap(s.buf)])
		s.buf = s.buf[:len(s.buf)+n]
		if err != nil {
			s.eof = true
			if !errors.Is(err, io.EOF) {
				s.readErr = err
			}
		}
		if n > 0 {
			return true
		}
		if s.eof {
			return false
		}
	}
	s.eof, s.readErr = true, io.ErrNoProgress
	return false
}

// peek skips white space and returns the next byte, 0 at the end.
func (s *scanner) peek() byte {
	for {
		for s.pos < len(s.buf) {
			switch c := s.buf[s.pos]; c {
			case ' ', '\t', '\n', '\r':
				s.pos++
			default:
				return c
			}
		}
		if !s.fill() {
			return 0
		}
	}
}

func (s *scanner) unexpected(want string) error {
	c := s.peek()
	if s.pos >= len(s.buf) {
		if s.readErr != nil {
			return s.readErr
		}
		return s.failf("the text ends where %s should be", want)
	}
	return s.failf("%q where %s should be", rune(c), want)
}

// object reads an object and calls field for each member with its name, which
// is valid until the next read. field must read the value.
func (s *scanner) object(field func(name []byte) error) error {
	if s.peek() != '{' {
		return s.unexpected("an object")
	}
	if s.depth++; s.depth > maxDepth {
		return s.failf("nested too deep")
	}
	s.pos++
	for first := true; ; first = false {
		switch s.peek() {
		case '}':
			s.pos++
			s.depth--
			return nil
		case ',':
			if first {
				return s.unexpected("a field")
			}
			s.pos++
			s.peek()
		default:
			if !first {
				return s.unexpected("',' or '}'")
			}
		}
		name, err := s.bytes()
		if err != nil {
			return err
		}
		if s.pos >= len(s.buf) || s.buf[s.pos] != ':' {
			if len(name) > 0 { // peek may move the window below name
				name = bytes.Clone(name)
			}
			if s.peek() != ':' {
				return s.unexpected("':'")
			}
		}
		s.pos++
		if err := field(name); err != nil {
			return err
		}
	}
}

// array reads an array and calls element for each index; element must read the
// value.
func (s *scanner) array(element func(i int) error) error {
	if s.peek() != '[' {
		return s.unexpected("a list")
	}
	if s.depth++; s.depth > maxDepth {
		return s.failf("nested too deep")
	}
	s.pos++
	for i := 0; ; i++ {
		switch s.peek() {
		case ']':
			s.pos++
			s.depth--
			return nil
		case ',':
			if i == 0 {
				return s.unexpected("a value")
			}
			s.pos++
		default:
			if i > 0 {
				return s.unexpected("',' or ']'")
			}
		}
		if err := element(i); err != nil {
			return err
		}
	}
}

// acceptNull reads null if that is what comes next.
func (s *scanner) acceptNull() bool { return s.peek() == 'n' && s.acceptWord("null") }

// raw reads any value and returns a copy of its text.
func (s *scanner) raw() ([]byte, error) {
	s.peek()
	// skip moves the window, so what it passes is collected piece by piece.
	var out []byte
	if err := s.skip(&out); err != nil {
		return nil, err
	}
	return out, nil
}

// skip reads any value; its compact text is appended to out.
func (s *scanner) skip(out *[]byte) error {
	switch c := s.peek(); {
	case c == '{':
		*out = append(*out, '{')
		first := true
		err := s.object(func(name []byte) error {
			if !first {
				*out = append(*out, ',')
			}
			first = false
			*out = append(appendString(*out, string(name)), ':')
			return s.skip(out)
		})
		*out = append(*out, '}')
		return err
	case c == '[':
		*out = append(*out, '[')
		err := s.array(func(i int) error {
			if i > 0 {
				*out = append(*out, ',')
			}
			return s.skip(out)
		})
		*out = append(*out, ']')
		return err
	case c == '"':
		text, err := s.bytes()
		*out = appendString(*out, string(text))
		return err
	case s.lenient && c == '-' && s.acceptWord("-Infinity"):
		*out = append(*out, "null"...)
		return nil
	case c == '-' || c >= '0' && c <= '9':
		token, _, _, _, err := s.digits()
		*out = append(*out, token...)
		s.pos += len(token)
		return err
	}
	for _, word := range []string{"null", "true", "false"} {
		if s.acceptWord(word) {
			*out = append(*out, word...)
			return nil
		}
	}
	if s.lenient && (s.acceptWord("NaN") || s.acceptWord("Infinity")) {
		*out = append(*out, "null"...)
		return nil
	}
	return s.unexpected("a value")
}

// acceptWord reads a word if that is what comes next.
func (s *scanner) acceptWord(word string) bool {
	for len(s.buf)-s.pos < len(word) && s.fill() {
	}
	if !bytes.HasPrefix(s.buf[s.pos:], []byte(word)) {
		return false
	}
	s.pos += len(word)
	return true
}

// A mark is a place in the text that can be returned to.
type mark struct {
	at    int64
	depth int
	outer bool // inside the text that another mark holds
}

// mark returns the place of the next value. release must follow.
func (s *scanner) mark() mark {
	s.peek()
	m := mark{s.base + int64(s.pos), s.depth, s.hold >= 0}
	if !m.outer {
		s.hold = m.at
	}
	return m
}

func (s *scanner) release(m mark) {
	if !m.outer {
		s.hold = -1
	}
}

// again goes back to a mark and skips the value there. It reports whether that is one: if
// not, the fault is one of the text.
func (s *scanner) again(m mark) bool {
	if s.readErr != nil {
		return false
	}
	s.rewind(m)
	s.skipped = s.skipped[:0]
	return s.skip(&s.skipped) == nil
}

func (s *scanner) rewind(m mark) { s.pos, s.depth = int(m.at-s.base), m.depth }

// end reports what follows the last value.
func (s *scanner) end() error {
	s.peek()
	if s.readErr != nil {
		return s.readErr
	}
	if s.pos < len(s.buf) {
		return s.unexpected("the end")
	}
	return nil
}
