package checkpoint

import (
	"errors"
	"math/big"
	"strconv"
	"unicode/utf8"
)

const (
	maxDepth = 32      // of containers in a state dictionary
	maxName  = 4096    // bytes of a tensor's name
	maxText  = 1 << 20 // bytes of a text beside the model
)

// modelKeys are the names under which training programs keep the model.
var modelKeys = []string{"model", "model_state", "model_state_dict", "state_dict", "blobs", "module", "net"}

// collector walks a part of the value of a pickle and gathers its tensors.
type collector struct {
	m       *machine // for the memory that is left
	lenient bool     // leaves out tensors of unsupported types
	tensors []*Tensor
	seen    map[string]bool
}

func gather(m *machine, lenient bool, v any) ([]*Tensor, error) {
	c := &collector{m: m, lenient: lenient, seen: map[string]bool{}}
	err := c.walk("", v, 0)
	return c.tensors, err
}

// collect fills f with the tensors of the model in the value of a pickle, and with
// the plain values and other tensors beside it.
func collect(f *File, m *machine, root any) error {
	top, ok := root.(*dict)
	if !ok {
		return &FormatError{Reason: "not a checkpoint: it holds " + kind(root) + ", not a dictionary of tensors", Err: ErrNotCheckpoint}
	}
	f.Metadata = map[string]string{}
	for _, p := range top.items {
		key, ok := asText(p.key)
		value, plain := plainText(p.value)
		if long, is := p.value.(span); ok && is {
			var err error
			if value, plain, err = m.longText(long); err != nil {
				return err
			}
		}
		if ok && plain {
			if err := m.charge(64); err != nil {
				return err
			}
			f.Metadata[key] = value
		}
	}
	for _, key := range modelKeys {
		v, _ := top.get(key)
		inner, ok := v.(*dict)
		if !ok {
			continue
		}
		var err error
		if f.Tensors, err = gather(m, false, inner); err != nil {
			return err
		}
		if len(f.Tensors) > 0 {
			return f.collectParts(m, top, key)
		}
	}
	var err error
	if f.Tensors, err = gather(m, false, top); err != nil {
		return err
	}
	if len(f.Tensors) == 0 {
		return &FormatError{Reason: "not a checkpoint: it is a pickle without any tensor", Err: ErrNotCheckpoint}
	}
	return nil
}

// collectParts keeps the tensors that are beside the model.
func (f *File) collectParts(m *machine, top *dict, model string) error {
	f.parts = map[string][]*Tensor{}
	for _, p := range top.items {
		key, ok := asText(p.key)
		if _, single := p.value.(*array); !ok || single || key == model {
			continue
		}
		tensors, err := gather(m, true, p.value)
		if err != nil {
			return err
		}
		if len(tensors) > 0 {
			f.parts[key] = tensors
		}
	}
	return nil
}

// walk adds the tensors below v. Names of nested containers are joined by dots.
func (c *collector) walk(name string, v any, depth int) error {
	if err := c.m.charge(64 + len(name)); err != nil {
		return err
	}
	if len(name) > maxName {
		return corrupt("a tensor's name is longer than %d bytes: %s", maxName, quoted(name))
	}
	if depth > maxDepth {
		return corrupt("containers are nested deeper than %d in %s", maxDepth, quoted(name))
	}
	switch v := v.(type) {
	case *array:
		return annotate(c.add(name, v), "", 0, name)
	case *dict:
		for _, p := range v.items {
			key, ok := keyText(p.key)
			if _, isTensor := p.value.(*array); !ok && isTensor && !c.lenient {
				return unsupported("a dictionary %s has %s as the key of a tensor", quoted(name), kind(p.key))
			}
			if !ok {
				continue
			}
			if err := c.walk(join(name, key), p.value, depth+1); err != nil {
				return err
			}
		}
	case *list:
		return c.walkItems(name, v.items, depth)
	case tuple:
		return c.walkItems(name, v, depth)
	}
	return nil
}

func (c *collector) walkItems(name string, items []any, depth int) error {
	for i, item := range items {
		if err := c.walk(join(name, strconv.Itoa(i)), item, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (c *collector) add(name string, a *array) error {
	if c.seen[name] {
		return corrupt("two tensors have this name")
	}
	c.seen[name] = true
	if !utf8.ValidString(name) {
		return corrupt("its name is not UTF-8")
	}
	if c.lenient && errors.Is(a.problem, ErrUnsupported) {
		return nil
	}
	if a.problem != nil {
		return a.problem
	}
	t := &Tensor{Name: name, DType: a.dtype, Shape: a.shape, view: a.view}
	if err := t.check(); err != nil {
		return err
	}
	c.tensors = append(c.tensors, t)
	return c.m.charge(256)
}

func join(prefix, key string) string {
	if prefix == "" {
		return key
	}
	return prefix + "." + key
}

func keyText(key any) (string, bool) {
	if n, ok := key.(int64); ok {
		return strconv.FormatInt(n, 10), true
	}
	return asText(key)
}

// longText reads a str that was left in the file, unless it is too long to be metadata.
func (m *machine) longText(s span) (string, bool, error) {
	if !s.utf8 || s.n > maxText {
		return "", false, nil
	}
	if err := m.charge(int(s.n)); err != nil {
		return "", false, err
	}
	b := make([]byte, s.n)
	if n, err := m.in.r.ReadAt(b, s.off); n < len(b) {
		return "", false, readError("a text", err)
	}
	return string(b), utf8.Valid(b), nil
}

// plainText returns numbers, truth values and short strings as text.
func plainText(v any) (string, bool) {
	switch v := v.(type) {
	case bool:
		return strconv.FormatBool(v), true
	case int64:
		return strconv.FormatInt(v, 10), true
	case *big.Int:
		return v.String(), true
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), true
	}
	return asText(v)
}
