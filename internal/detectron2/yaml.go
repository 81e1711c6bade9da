package detectron2

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/diffusioninst/go/internal/utf"
)

const (
	maxBytes  = 1 << 20 // of one file; the largest full dump has 10 kB
	maxValues = 1 << 16 // after aliases are expanded
	maxDepth  = 32      // of sections and lists
)

// parse reads one file, without its bases.
func parse(file string, text []byte) (*section, []Warning, error) {
	if len(text) > maxBytes {
		return nil, nil, failure(file, 0, "too large for a config file: %d bytes, at most %d are read", len(text), maxBytes)
	}
	text, err := utf.Text(text)
	if err != nil {
		return nil, nil, &Error{Problems: []Problem{{File: file, Message: "not YAML: " + err.Error()}}, Err: err}
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	var doc yaml.Node
	if err := d.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, nil, failure(file, 0, "the file is empty")
	} else if err != nil {
		return nil, nil, &Error{Problems: []Problem{{File: file, Message: "not YAML: " + err.Error()}}, Err: err}
	}
	var second yaml.Node
	if err := d.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, nil, failure(file, second.Line, "more than one YAML document")
	}
	c := &converter{file: file, open: map[*yaml.Node]bool{}}
	v, err := c.convert(doc.Content[0], 0)
	if err != nil {
		return nil, nil, err
	}
	s, ok := v.data.(*section)
	if !ok {
		return nil, nil, failure(file, v.line, "want KEY: value pairs, got %s", v)
	}
	return s, c.warnings, nil
}

type converter struct {
	file     string
	count    int
	open     map[*yaml.Node]bool // collections around the current node
	warnings []Warning
}

func (c *converter) convert(n *yaml.Node, depth int) (*value, error) {
	c.count++
	switch {
	case c.count > maxValues:
		return nil, failure(c.file, n.Line, "more than %d values", maxValues)
	case depth > maxDepth:
		return nil, failure(c.file, n.Line, "nested deeper than %d levels", maxDepth)
	case c.open[n]:
		return nil, failure(c.file, n.Line, "an alias that contains itself")
	}
	v := &value{file: c.file, line: n.Line}
	switch n.Kind {
	case yaml.AliasNode:
		return c.convert(n.Alias, depth)
	case yaml.ScalarNode:
		return v, c.scalar(n, v)
	case yaml.SequenceNode:
		if err := c.allow(n, "!!seq", "!!python/tuple", "!!python/list"); err != nil {
			return nil, err
		}
		c.open[n] = true
		defer delete(c.open, n)
		items := []*value{}
		for _, child := range n.Content {
			item, err := c.convert(child, depth+1)
			if err != nil {
				return nil, err
			}
			items = append(items, item)
		}
		v.data = items
		return v, nil
	case yaml.MappingNode:
		if err := c.allow(n, "!!map", "!!python/dict"); err != nil {
			return nil, err
		}
		c.open[n] = true
		defer delete(c.open, n)
		return v, c.mapping(n, v, depth)
	}
	return nil, failure(c.file, n.Line, "unexpected YAML node")
}

func (c *converter) mapping(n *yaml.Node, v *value, depth int) error {
	s := newSection()
	var inherited []*section
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, child := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			return failure(c.file, key.Line, "a key that is not a plain word")
		}
		item, err := c.convert(child, depth+1)
		if err != nil {
			return err
		}
		if key.ShortTag() == "!!merge" {
			below, err := c.inherit(item)
			if err != nil {
				return err
			}
			inherited = append(inherited, below...)
			continue
		}
		if old := s.values[key.Value]; old != nil {
			c.warnings = append(c.warnings, Warning{c.file, key.Line, key.Value, "written twice in one section: the last one counts"})
		}
		item.line = key.Line
		s.set(key.Value, item)
	}
	for _, below := range inherited {
		for _, key := range below.keys {
			if s.values[key] == nil {
				s.set(key, below.values[key])
			}
		}
	}
	v.data = s
	return nil
}

// inherit lists the sections that a merge key ("<<") names.
func (c *converter) inherit(v *value) ([]*section, error) {
	items := []*value{v}
	if list, ok := v.data.([]*value); ok {
		items = list
	}
	var out []*section
	for _, item := range items {
		s, ok := item.data.(*section)
		if !ok {
			return nil, failure(c.file, v.line, "<< wants a section, got %s", item)
		}
		out = append(out, s)
	}
	return out, nil
}

func (c *converter) allow(n *yaml.Node, tags ...string) error {
	tag := n.ShortTag()
	for _, t := range tags {
		if tag == t {
			return nil
		}
	}
	return failure(c.file, n.Line, "YAML tag %q is not allowed in a config", tag)
}

// scalar reads n as PyYAML (YAML 1.1) and then yacs do: yes, no, on and off are
// booleans, and text that is a Python literal stands for its value.
func (c *converter) scalar(n *yaml.Node, v *value) error {
	err := c.allow(n, "!!null", "!!bool", "!!int", "!!float", "!!str", "!!timestamp",
		"!!python/none", "!!python/bool", "!!python/int", "!!python/long", "!!python/float", "!!python/str", "!!python/unicode")
	if err != nil {
		return err
	}
	switch n.ShortTag() {
	case "!!null", "!!python/none":
		return nil
	case "!!bool", "!!int", "!!float":
		var data any
		if err := n.Decode(&data); err != nil {
			return failure(c.file, n.Line, "%v", err)
		}
		switch x := data.(type) {
		case int:
			data = int64(x)
		case uint64:
			data = float64(x)
		}
		v.data = data
		return nil
	}
	if n.Style == 0 {
		switch strings.ToLower(n.Value) {
		case "yes", "on":
			v.data = true
			return nil
		case "no", "off":
			v.data = false
			return nil
		}
	}
	v.data, v.text = n.Value, n.Value
	if read, ok := literal(n.Value, c.file, n.Line); ok {
		v.data = read.data
	}
	return nil
}
