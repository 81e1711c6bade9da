package detectron2

import (
	"fmt"
	"strconv"
	"strings"
)

// value is a setting and where it was set.
type value struct {
	file string
	line int
	data any    // nil, bool, int64, float64, string, []*value or *section
	text string // as written, where data was read out of text
}

// section is a mapping, in the order of its file.
type section struct {
	keys   []string
	values map[string]*value
}

func newSection() *section { return &section{values: map[string]*value{}} }

func (s *section) set(key string, v *value) {
	if _, ok := s.values[key]; !ok {
		s.keys = append(s.keys, key)
	}
	s.values[key] = v
}

func (s *section) remove(key string) {
	if _, ok := s.values[key]; !ok {
		return
	}
	delete(s.values, key)
	kept := s.keys[:0]
	for _, k := range s.keys {
		if k != key {
			kept = append(kept, k)
		}
	}
	s.keys = kept
}

// find returns the value at a dotted path, nil if there is none.
func (s *section) find(path string) *value {
	for {
		key, rest, more := strings.Cut(path, ".")
		v := s.values[key]
		if v == nil || !more {
			return v
		}
		sub, ok := v.data.(*section)
		if !ok {
			return nil
		}
		s, path = sub, rest
	}
}

// merge merges s into base: sections key by key, everything else replaced. A section
// without entries ("MODEL:" and nothing below) changes nothing.
func (s *section) merge(base *section, path string) []Problem {
	var problems []Problem
	for _, key := range s.keys {
		v, old := s.values[key], base.values[key]
		below, isSection := v.data.(*section)
		if old == nil || old.data == nil {
			base.set(key, v)
			continue
		}
		under, wasSection := old.data.(*section)
		switch {
		case isSection && wasSection:
			problems = append(problems, below.merge(under, join(path, key))...)
		case isSection:
			problems = append(problems, Problem{v.file, v.line, join(path, key), fmt.Sprintf("a section here, but %s in %s:%d", old, old.file, old.line)})
		case wasSection && v.data != nil:
			problems = append(problems, Problem{v.file, v.line, join(path, key), fmt.Sprintf("is %s, but a section in %s:%d", v, old.file, old.line)})
		case !wasSection:
			base.set(key, v)
		}
	}
	return problems
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// same compares two values; 1 and 1.0 are the same, and so are lists and tuples.
func same(a, b *value) bool {
	switch x := a.data.(type) {
	case []*value:
		y, ok := b.data.([]*value)
		if !ok || len(x) != len(y) {
			return false
		}
		for i := range x {
			if !same(x[i], y[i]) {
				return false
			}
		}
		return true
	case *section:
		return false
	case int64:
		if y, ok := b.data.(float64); ok {
			return float64(x) == y
		}
	case float64:
		if y, ok := b.data.(int64); ok {
			return x == float64(y)
		}
	}
	switch b.data.(type) {
	case []*value, *section:
		return false
	}
	return a.data == b.data
}

// String returns the value on one line, shortened if it is long.
func (v *value) String() string {
	const limit = 80
	var b strings.Builder
	v.write(&b, limit)
	if b.Len() > limit {
		return strings.ToValidUTF8(b.String()[:limit], "") + "…"
	}
	return b.String()
}

func (v *value) write(b *strings.Builder, limit int) {
	switch x := v.data.(type) {
	case nil:
		b.WriteString("null")
	case string:
		b.WriteString(strconv.Quote(x))
	case *section:
		b.WriteString("a section")
	case []*value:
		b.WriteString("[")
		for i, e := range x {
			if b.Len() > limit {
				return
			}
			if i > 0 {
				b.WriteString(", ")
			}
			e.write(b, limit)
		}
		b.WriteString("]")
	default:
		fmt.Fprint(b, x)
	}
}
