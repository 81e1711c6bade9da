package utf

import (
	"bytes"
	"fmt"
	"io"
	"unicode/utf8"
)

// Latin1 returns the UTF-8 form of text that is not UTF-8 and plainly Latin-1 (ISO 8859-1,
// in whose letters Windows-1252 is the same), as of "Größe" or "5 µm": among ASCII, one
// character alone or two letters beside a letter. In text of East Asian encodings such bytes
// come in pairs, and in others in words.
func Latin1(text []byte) (string, bool) {
	for i := 0; i < len(text); {
		n := i
		for n < len(text) && text[n] >= utf8.RuneSelf {
			if text[n] < 0xA0 {
				return "", false
			}
			n++
		}
		switch run := text[i:n]; len(run) {
		case 0:
			n++
		case 1:
		case 2:
			beside := i > 0 && isLetter(text[i-1]) || n < len(text) && isLetter(text[n])
			if run[0] < 0xC0 || run[1] < 0xC0 || !beside {
				return "", false
			}
		default:
			return "", false
		}
		i = n
	}
	out := make([]rune, len(text))
	for i, c := range text {
		out[i] = rune(c)
	}
	return string(out), true
}

func isLetter(c byte) bool { c |= 0x20; return c >= 'a' && c <= 'z' }

// ReadAll returns the text of r in UTF-8, without a byte order mark: see NewReader and
// Latin1. Text of another encoding is an error that names the first byte.
func ReadAll(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(NewReader(r))
	if err != nil || utf8.Valid(text) {
		return text, err
	}
	if latin, ok := Latin1(text); ok {
		return []byte(latin), nil
	}
	at := bytes.IndexFunc(text, func(r rune) bool { return r == utf8.RuneError })
	for at < len(text) { // not at a U+FFFD that is written so
		if r, n := utf8.DecodeRune(text[at:]); r == utf8.RuneError && n == 1 {
			break
		} else {
			at += n
		}
	}
	return nil, fmt.Errorf("byte %d: the text is not UTF-8, nor plainly Latin-1: save the file as UTF-8", at)
}

// Text is ReadAll of text in memory.
func Text(text []byte) ([]byte, error) { return ReadAll(bytes.NewReader(text)) }
