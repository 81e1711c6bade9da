package coco

import (
	"unicode/utf16"
	"unicode/utf8"

	"github.com/diffusioninst/go/internal/utf"
)

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

// decode resolves escapes. Text that is not UTF-8 it takes for Latin-1 if it plainly is, and
// otherwise replaces what is not UTF-8, as encoding/json does.
func (s *scanner) decode(text []byte) ([]byte, error) {
	if !utf8.Valid(text) {
		at := s.base + int64(s.keep)
		if latin, ok := utf.Latin1(text); ok {
			text = []byte(latin)
			s.latin1.add(at, text)
		} else {
			s.garbled.add(at, text)
		}
	}
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
