package detectron2

import (
	"strconv"
	"strings"
)

// literalDepth bounds the nesting of brackets in a Python literal.
const literalDepth = 16

// literal reads text as Python's ast.literal_eval does, as far as configs use it:
// numbers, True, False, None, strings, tuples and lists of these. It returns false
// for everything else, which then stays text.
func literal(text, file string, line int) (*value, bool) {
	p := &literalParser{rest: text, file: file, line: line}
	p.space()
	v, ok := p.one(0)
	if !ok {
		return nil, false
	}
	p.space()
	if strings.HasPrefix(p.rest, ",") {
		p.rest = p.rest[1:]
		items := []*value{v}
		more, ok := p.items("", 0)
		if !ok {
			return nil, false
		}
		v = p.value(append(items, more...))
	}
	return v, p.rest == ""
}

type literalParser struct {
	rest string
	file string
	line int
}

func (p *literalParser) value(data any) *value { return &value{file: p.file, line: p.line, data: data} }

func (p *literalParser) space() { p.rest = strings.TrimLeft(p.rest, " \t\r\n") }

func (p *literalParser) one(depth int) (*value, bool) {
	if p.rest == "" || depth > literalDepth {
		return nil, false
	}
	switch c := p.rest[0]; c {
	case '(', '[':
		p.rest = p.rest[1:]
		return p.bracket(c, depth)
	case '\'', '"':
		end := strings.IndexByte(p.rest[1:], c)
		if end < 0 {
			return nil, false
		}
		s := p.rest[1 : 1+end]
		if strings.ContainsAny(s, "\\\n") {
			return nil, false
		}
		p.rest = p.rest[end+2:]
		return p.value(s), true
	}
	end := strings.IndexAny(p.rest, ",)] \t\r\n")
	if end < 0 {
		end = len(p.rest)
	}
	word := p.rest[:end]
	p.rest = p.rest[end:]
	switch word {
	case "True":
		return p.value(true), true
	case "False":
		return p.value(false), true
	case "None":
		return p.value(nil), true
	}
	data, ok := number(word)
	return p.value(data), ok
}

// bracket reads what follows an opening bracket. Round brackets around one item
// without a comma only group.
func (p *literalParser) bracket(open byte, depth int) (*value, bool) {
	closing := "]"
	if open == '(' {
		closing = ")"
	}
	start := p.rest
	items, ok := p.items(closing, depth+1)
	if !ok {
		return nil, false
	}
	if open == '(' && len(items) == 1 {
		inside := strings.TrimRight(start[:len(start)-len(p.rest)-1], " \t\r\n")
		if !strings.HasSuffix(inside, ",") {
			return items[0], true
		}
	}
	return p.value(items), true
}

// items reads values up to closing, or to the end of the text if closing is empty.
func (p *literalParser) items(closing string, depth int) ([]*value, bool) {
	items := []*value{}
	for {
		p.space()
		if closing == "" && p.rest == "" {
			return items, true
		}
		if closing != "" && strings.HasPrefix(p.rest, closing) {
			p.rest = p.rest[1:]
			return items, true
		}
		v, ok := p.one(depth)
		if !ok {
			return nil, false
		}
		items = append(items, v)
		p.space()
		switch {
		case strings.HasPrefix(p.rest, ","):
			p.rest = p.rest[1:]
		case closing != "" && strings.HasPrefix(p.rest, closing), closing == "" && p.rest == "":
		default:
			return nil, false
		}
	}
}

func number(word string) (any, bool) {
	digits := strings.TrimLeft(word, "+-")
	if len(word)-len(digits) > 1 || digits == "" || !strings.ContainsRune("0123456789.", rune(digits[0])) {
		return nil, false
	}
	if n, err := strconv.ParseInt(word, 0, 64); err == nil {
		return n, true
	}
	f, err := strconv.ParseFloat(word, 64)
	return f, err == nil
}
