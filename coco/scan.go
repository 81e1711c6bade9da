package coco

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	scanBuffer = 256 << 10
	maxNumber  = 512 // bytes of one number
	maxDepth   = 512 // nested arrays and objects
)

// A scanner pulls JSON values from a stream. It holds a window of the text that
// only grows to the longest single string or raw value, so what it allocates is
// bounded by the input. After an error it is of no further use.
type scanner struct {
	r        io.Reader
	buf      []byte // window of the text: buf[pos:] is unread
	pos      int
	keep     int   // start of what the window must not drop, or -1
	base     int64 // offset of buf[0] in the input
	eof      bool
	readErr  error
	depth    int
	unescape []byte
}

func newScanner(r io.Reader) *scanner {
	return &scanner{r: r, buf: make([]byte, 0, scanBuffer), keep: -1}
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
	if from > 0 {
		n := copy(s.buf, s.buf[from:])
		s.buf = s.buf[:n]
		s.pos -= from
		s.base += int64(from)
		if s.keep >= 0 {
			s.keep -= from
		}
	}
	if len(s.buf) == cap(s.buf) {
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

// bytes reads a string. The result is valid until the next read.
func (s *scanner) bytes() ([]byte, error) {
	if s.peek() != '"' {
		return nil, s.unexpected("a string")
	}
	s.keep = s.pos
	defer func() { s.keep = -1 }()
	s.pos++
	plain := true
	for {
		for s.pos < len(s.buf) {
			switch c := s.buf[s.pos]; {
			case c == '"':
				text := s.buf[s.keep+1 : s.pos]
				if !plain {
					var err error
					if text, err = s.decode(text); err != nil {
						return nil, err
					}
				}
				s.pos++
				return text, nil
			case c == '\\':
				plain = false
				s.pos++
				if s.pos >= len(s.buf) && !s.fill() {
					return nil, s.unexpected("the rest of a string")
				}
				s.pos++
			case c < 0x20:
				return nil, s.failf("control character in a string")
			default:
				if c >= utf8.RuneSelf {
					plain = false
				}
				s.pos++
			}
		}
		if !s.fill() {
			return nil, s.unexpected("the rest of a string")
		}
	}
}

// decode resolves escapes and replaces what is not UTF-8, as encoding/json does.
func (s *scanner) decode(text []byte) ([]byte, error) {
	out := s.unescape[:0]
	for i := 0; i < len(text); {
		c := text[i]
		if c != '\\' {
			if c < utf8.RuneSelf {
				out = append(out, c)
				i++
				continue
			}
			r, n := utf8.DecodeRune(text[i:])
			out = utf8.AppendRune(out, r)
			i += n
			continue
		}
		i += 2
		switch e := text[i-1]; e {
		case '"', '\\', '/':
			out = append(out, e)
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r, ok := hex4(text[i:])
			if !ok {
				return nil, s.failf("bad \\u escape in a string")
			}
			i += 4
			if utf16.IsSurrogate(r) {
				low, ok := rune(0), false
				if i+6 <= len(text) && text[i] == '\\' && text[i+1] == 'u' {
					low, ok = hex4(text[i+2:])
				}
				r = utf16.DecodeRune(r, low)
				if ok && r != utf8.RuneError {
					i += 6
				}
			}
			out = utf8.AppendRune(out, r)
		default:
			return nil, s.failf("unknown escape \\%c in a string", e)
		}
	}
	s.unescape = out
	return out, nil
}

func hex4(b []byte) (rune, bool) {
	if len(b) < 4 {
		return 0, false
	}
	var r rune
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// text reads a string and returns a copy.
func (s *scanner) text() (string, error) {
	b, err := s.bytes()
	return string(b), err
}

// acceptNull reads null if that is what comes next.
func (s *scanner) acceptNull() bool {
	if s.peek() != 'n' {
		return false
	}
	for len(s.buf)-s.pos < 4 {
		if !s.fill() {
			return false
		}
	}
	if string(s.buf[s.pos:s.pos+4]) != "null" {
		return false
	}
	s.pos += 4
	return true
}

var pow10 = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// digits returns the text of the number that comes next and the place where
// it ends; its decimal digits as an integer if they are few, and how many of them
// are behind the point.
func (s *scanner) digits() (token []byte, mantissa uint64, fraction int, simple bool, err error) {
	s.peek()
	for len(s.buf)-s.pos < maxNumber && s.fill() {
	}
	b := s.buf[s.pos:min(len(s.buf), s.pos+maxNumber)]
	at := func(i int) byte {
		if i < len(b) {
			return b[i]
		}
		return 0
	}
	i := 0
	if at(0) == '-' {
		i++
	}
	start := i
	for c := at(i) - '0'; c <= 9; c = at(i) - '0' {
		mantissa = mantissa*10 + uint64(c)
		i++
	}
	whole := i - start
	if whole == 0 || whole > 1 && b[start] == '0' {
		return nil, 0, 0, false, s.unexpected("a number")
	}
	if at(i) == '.' {
		i++
		point := i
		for c := at(i) - '0'; c <= 9; c = at(i) - '0' {
			mantissa = mantissa*10 + uint64(c)
			i++
		}
		if fraction = i - point; fraction == 0 {
			return nil, 0, 0, false, s.failf("a number ends with a point")
		}
	}
	simple = whole+fraction <= 15
	if c := at(i); c == 'e' || c == 'E' {
		simple = false
		i++
		if c := at(i); c == '+' || c == '-' {
			i++
		}
		from := i
		for c := at(i) - '0'; c <= 9; c = at(i) - '0' {
			i++
		}
		if i == from {
			return nil, 0, 0, false, s.failf("a number has an empty exponent")
		}
	}
	if i >= maxNumber {
		return nil, 0, 0, false, s.failf("a number of more than %d characters", maxNumber)
	}
	return b[:i], mantissa, fraction, simple, nil
}

// number reads a finite number.
func (s *scanner) number() (float64, error) {
	token, mantissa, fraction, simple, err := s.digits()
	if err != nil {
		return 0, err
	}
	var v float64
	if simple {
		// Both are exact, so the one rounding of the division is correct.
		v = float64(mantissa) / pow10[fraction]
		if token[0] == '-' {
			v = -v
		}
	} else if v, err = strconv.ParseFloat(string(token), 64); err != nil {
		return 0, s.failf("%s is beyond what a float64 holds", token)
	}
	s.pos += len(token)
	return v, nil
}

// integer reads a whole number. One with a point or an exponent is accepted if
// its value is whole, as some tools write ids.
func (s *scanner) integer() (int64, error) {
	token, mantissa, fraction, simple, err := s.digits()
	if err != nil {
		return 0, err
	}
	var v int64
	if simple && fraction == 0 {
		if v = int64(mantissa); token[0] == '-' {
			v = -v
		}
	} else if v, err = strconv.ParseInt(string(token), 10, 64); err != nil {
		f, ferr := strconv.ParseFloat(string(token), 64)
		if ferr != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
			return 0, s.failf("%s is not a whole number", token)
		}
		v = int64(f)
	}
	s.pos += len(token)
	return v, nil
}

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
	case c == '-' || c >= '0' && c <= '9':
		token, _, _, _, err := s.digits()
		*out = append(*out, token...)
		s.pos += len(token)
		return err
	}
	for _, word := range []string{"null", "true", "false"} {
		for len(s.buf)-s.pos < len(word) && s.fill() {
		}
		if bytes.HasPrefix(s.buf[s.pos:], []byte(word)) {
			*out = append(*out, word...)
			s.pos += len(word)
			return nil
		}
	}
	return s.unexpected("a value")
}

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
