package annotation

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
)

// ImageJ reads the properties of a region with java.util.Properties.load, whose escapes keep what
// lines of "key: value" in Latin-1 cannot hold.

var (
	propertyEscapes = map[rune]byte{'\n': 'n', '\r': 'r', '\t': 't', '\f': 'f', '\\': '\\'}
	propertyLetters = map[byte]uint16{'n': '\n', 'r': '\r', 't': '\t', 'f': '\f'}
)

// escapeProperty returns a value as Properties.store writes it, with spaces at the end escaped like those
// at the start.
func escapeProperty(value string) string {
	var out strings.Builder
	inner := strings.Trim(value, " ")
	from := strings.Index(value, inner)
	for i, r := range value {
		switch letter, ok := propertyEscapes[r]; {
		case ok:
			out.WriteByte('\\')
			out.WriteByte(letter)
		case r == ' ' && (i < from || i >= from+len(inner)), r < ' ', r > '~':
			for _, v := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(&out, `\u%04x`, v)
			}
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}

// unescapeProperty undoes escapeProperty as Properties.load does: a backslash before another letter is
// passed over. An escape that is cut off stays as it is.
func unescapeProperty(text string) string {
	var out []uint16
	for {
		plain, rest, found := strings.Cut(text, `\`)
		out = append(out, utf16.Encode([]rune(plain))...)
		if !found || rest == "" {
			return string(utf16.Decode(out))
		}
		text = rest[1:]
		switch rest[0] {
		case 'n', 'r', 't', 'f':
			out = append(out, propertyLetters[rest[0]])
		case 'u':
			if v, err := strconv.ParseUint(rest[1:min(5, len(rest))], 16, 16); err == nil && len(rest) >= 5 {
				out, text = append(out, uint16(v)), rest[5:]
			} else {
				out = append(out, '\\', 'u')
			}
		default:
			text = rest
			if rest[0] == '\\' { // which would begin another escape
				out, text = append(out, '\\'), rest[1:]
			}
		}
	}
}
