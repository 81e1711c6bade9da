package checkpoint

import (
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// stepLine executes an opcode of protocols 0 and 1 with a line behind it.
func (m *machine) stepLine(op byte) error {
	if op == opString || op == opUnicode {
		return m.textLine(op)
	}
	text, err := m.in.line()
	if err != nil {
		return err
	}
	if err := m.charge(32 + len(text)); err != nil {
		return err
	}
	switch op {
	case opInt, opLong:
		return m.integer(text)
	case opFloat:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return corrupt("a pickle has %s where a float is expected", quoted(text))
		}
		return m.push(f)
	case opPersID:
		id, err := m.storageText(text)
		if err != nil {
			return err
		}
		return m.resolve(id)
	}
	index, err := strconv.ParseUint(text, 10, 32)
	switch {
	case err != nil:
		return corrupt("a pickle has %s where a memo index is expected", quoted(text))
	case op == opGet:
		return m.recall(index)
	}
	return m.memoize(index)
}

// storagePattern is PyTorch's persistent id of a storage as Python prints it, in protocol 0:
// ('storage', <class 'torch.FloatStorage'>, 'KEY', 'cpu', COUNT, None).
var storagePattern = regexp.MustCompile(`^\('storage', <class '([\w.]+)\.(\w+)'>, '([^'\\]*)', '[^'\\]*', (\d+)(, None)?\)$`)

// storageText returns the persistent id whose text this is, or the text if it is of something else.
func (m *machine) storageText(text string) (any, error) {
	found := storagePattern.FindStringSubmatch(text)
	if found == nil {
		return text, nil
	}
	c, err := m.lookUp(found[1], found[2])
	if err != nil {
		return nil, err
	}
	count, err := strconv.ParseInt(found[4], 10, 64)
	if err != nil {
		return nil, corrupt("a persistent id describes a storage of %s elements", found[4])
	}
	return tuple{"storage", c, found[3], "", count}, nil
}

// integer pushes a decimal number. Protocols 0 and 1 write truth values as 00 and 01.
func (m *machine) integer(text string) error {
	if text == "00" || text == "01" {
		return m.push(text == "01")
	}
	n, ok := new(big.Int).SetString(strings.TrimSuffix(text, "L"), 10)
	switch {
	case !ok:
		return corrupt("a pickle has %s where an integer is expected", quoted(text))
	case n.IsInt64():
		return m.push(n.Int64())
	}
	return m.push(n)
}

// instance handles INST: the names of a class in two lines, its arguments on the stack.
func (m *machine) instance() error {
	module, err := m.in.line()
	if err != nil {
		return err
	}
	name, err := m.in.line()
	if err != nil {
		return err
	}
	c, err := m.lookUp(module, name)
	if err != nil {
		return err
	}
	args, err := m.popMark()
	if err != nil {
		return err
	}
	return m.call(c, tuple(args))
}

// textLine handles STRING, a Python literal in quotes, and UNICODE, text in which \u
// and \U stand for code points and other bytes for themselves.
func (m *machine) textLine(op byte) error {
	raw, err := m.in.longLine()
	if err != nil {
		return err
	}
	if err := m.charge(16 + 4*len(raw)); err != nil {
		return err
	}
	if op == opUnicode {
		return m.push(unescapeUnicode(raw))
	}
	raw = strings.TrimRight(raw, " \t\r")
	if len(raw) < 2 || raw[0] != raw[len(raw)-1] || raw[0] != '\'' && raw[0] != '"' {
		return corrupt("a pickle has a string without quotes")
	}
	b, ok := unescapeBytes(raw[1 : len(raw)-1])
	if !ok {
		return corrupt("a pickle has a string with a damaged escape sequence")
	}
	return m.push(b)
}

// unescapeUnicode decodes Python's raw-unicode-escape. What is not an escape sequence
// stays as it is.
func unescapeUnicode(raw string) string {
	var b strings.Builder
	for i := 0; i < len(raw); i++ {
		c := rune(raw[i])
		if c == '\\' && i+1 < len(raw) && (raw[i+1] == 'u' || raw[i+1] == 'U') {
			digits := 4
			if raw[i+1] == 'U' {
				digits = 8
			}
			if end := i + 2 + digits; end <= len(raw) {
				if n, err := strconv.ParseUint(raw[i+2:end], 16, 32); err == nil && n <= utf8.MaxRune {
					c, i = rune(n), end-1
				}
			}
		}
		b.WriteRune(c)
	}
	return b.String()
}

// escapes are the short escape sequences of Python's bytes.
var escapes = map[byte]byte{
	'\\': '\\', '\'': '\'', '"': '"', 'a': '\a', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v',
}

// unescapeBytes decodes what is between the quotes of a literal of bytes.
func unescapeBytes(raw string) (byteString, bool) {
	b := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			b = append(b, raw[i])
			continue
		}
		if i++; i == len(raw) {
			return "", false
		}
		c := raw[i]
		short, known := escapes[c]
		switch {
		case known:
			b = append(b, short)
		case c == 'x':
			if i+2 >= len(raw) {
				return "", false
			}
			n, err := strconv.ParseUint(raw[i+1:i+3], 16, 8)
			if err != nil {
				return "", false
			}
			b = append(b, byte(n))
			i += 2
		case c >= '0' && c <= '7':
			n, end := 0, min(i+3, len(raw))
			for ; i < end && raw[i] >= '0' && raw[i] <= '7'; i++ {
				n = 8*n + int(raw[i]-'0')
			}
			i--
			b = append(b, byte(n))
		default:
			b = append(b, '\\', c)
		}
	}
	return byteString(b), true
}
