package checkpoint

import (
	"errors"
	"strconv"
	"unicode/utf8"
)

const (
	maxDepth = 32   // of containers in a state dictionary, and of calls
	maxName  = 4096 // bytes of a tensor's name
)

// collector walks a part of the value of a pickle and gathers its tensors.
type collector struct {
	group
	m       *machine // for the memory that is left
	lenient bool     // the part is not the model: what is odd is left out
	seen    map[string]bool
	visited map[any]bool // containers, if lenient
}

func gather(m *machine, path string, lenient bool, v any) (*group, error) {
	c := &collector{group: group{path: path}, m: m, lenient: lenient, seen: map[string]bool{}}
	if lenient {
		c.visited = map[any]bool{}
	}
	err := c.walk("", v, 0)
	return &c.group, err
}

// walk adds the tensors below v. Names of nested containers are joined by dots.
func (c *collector) walk(name string, v any, depth int) error {
	if err := c.m.charge(64 + len(name)); err != nil {
		return err
	}
	if c.lenient && (len(name) > maxName || depth > maxDepth) {
		return nil
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
		if c.again(v) {
			return nil
		}
		return c.walkEntries(name, v.items, depth)
	case *list:
		if c.again(v) {
			return nil
		}
		return c.walkItems(name, v.items, depth)
	case tuple:
		return c.walkItems(name, v, depth)
	case *object:
		if c.again(v) {
			return nil
		}
		return c.walkObject(name, v, depth)
	}
	return nil
}

// again reports whether a container beside the model was seen before: objects there may
// refer to each other in circles.
func (c *collector) again(v any) bool {
	if !c.lenient {
		return false
	}
	seen := c.visited[v]
	c.visited[v] = true
	return seen
}

func (c *collector) walkEntries(name string, items []pair, depth int) error {
	for _, p := range items {
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

// dictionaryClasses are classes that hold the items of the dictionary that they are made of. What another
// makes of its arguments only its code knows.
var dictionaryClasses = map[string]bool{
	"types.MappingProxyType": true, "flax.core.frozen_dict.FrozenDict": true, "frozendict.frozendict": true, "immutables._map.Map": true,
}

// walkObject looks for tensors in an object of an unknown class: in a dictionary or list
// that it is, and in the parameters of a torch.nn.Module.
func (c *collector) walkObject(name string, o *object, depth int) error {
	attributes := o.attributes()
	switch {
	case attributes != nil && isModule(attributes):
		return c.walkModule(name, attributes, depth)
	case len(o.items) > 0:
		return c.walkEntries(name, o.items, depth)
	case len(o.list) > 0:
		return c.walkItems(name, o.list, depth)
	case len(o.args) == 1 && dictionaryClasses[o.class]:
		return c.walk(name, o.args[0], depth+1)
	case c.lenient && attributes != nil:
		return c.walkEntries(name, attributes.items, depth)
	}
	c.leave(name, forbidden("it is an object of the class %s, which is code and never run; %s", quoted(o.class), resave))
	return c.m.charge(256)
}

// isModule reports whether attributes are a torch.nn.Module's.
func isModule(attributes *dict) bool {
	_, parameters := attributes.get("_parameters")
	_, modules := attributes.get("_modules")
	return parameters && modules
}

// walkModule adds what the state_dict() of a module would have.
func (c *collector) walkModule(name string, attributes *dict, depth int) error {
	for _, key := range []string{"_parameters", "_buffers", "_modules"} {
		v, _ := attributes.get(key)
		passing := map[string]bool{}
		if key == "_buffers" {
			passing = textsOf(attributes, "_non_persistent_buffers_set")
		}
		for _, p := range entries(v) {
			child, ok := asText(p.key)
			if !ok || p.value == nil || passing[child] {
				continue
			}
			if err := c.walk(join(name, child), p.value, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// textsOf returns the texts of a set among attributes.
func textsOf(attributes *dict, key string) map[string]bool {
	v, _ := attributes.get(key)
	set, _ := v.(*list)
	out := map[string]bool{}
	if set != nil {
		for _, item := range set.items {
			if s, ok := asText(item); ok {
				out[s] = true
			}
		}
	}
	return out
}

// leave notes why a name has no tensor.
func (c *collector) leave(name string, why error) {
	if name == "" {
		return
	}
	if c.unread == nil {
		c.unread = map[string]error{}
	}
	c.unread[name] = why
}

func (c *collector) add(name string, a *array) error {
	if c.lenient && (c.seen[name] || !utf8.ValidString(name)) {
		return nil
	}
	if c.seen[name] {
		return corrupt("two tensors have this name")
	}
	c.seen[name] = true
	if !utf8.ValidString(name) {
		return corrupt("its name is not UTF-8")
	}
	if errors.Is(a.problem, ErrUnsupported) {
		c.leave(name, a.problem)
		return c.m.charge(128)
	}
	if a.problem != nil {
		return a.problem
	}
	t := &Tensor{Name: name, DType: a.dtype, Shape: a.shape, view: a.view}
	if err := t.check(); errors.Is(err, ErrUnsupported) {
		c.leave(name, err)
		return c.m.charge(128)
	} else if err != nil {
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
