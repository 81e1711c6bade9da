package checkpoint

import "strings"

// allowed holds the classes and functions that a pickle may name, by "module.name".
var allowed = map[string]*class{}

func allow(module string, call func(m *machine, args tuple) (any, error), names ...string) {
	for _, n := range names {
		full := module + "." + n
		allowed[full] = &class{name: full, call: call}
	}
}

func init() {
	allow("collections", newDict, "OrderedDict", "defaultdict", "Counter")
	for _, builtins := range []string{"builtins", "__builtin__"} {
		allow(builtins, newList, "set", "frozenset", "list")
		allow(builtins, newBytes, "bytes", "bytearray")
		allow(builtins, newDict, "dict")
		allow(builtins, nil, "object", "int", "float", "str", "bool", "tuple")
	}
	allow("_codecs", encodeLatin1, "encode")
	for _, copyreg := range []string{"copyreg", "copy_reg"} {
		allow(copyreg, newObject, "__newobj__", "__newobj_ex__")
		allow(copyreg, reconstruct, "_reconstructor")
	}
	allowTorch()
	allowNumPy()
}

// lookUp returns a class or function by its name. One that is not in allowed is only a
// name: values made with it are read over.
func (m *machine) lookUp(module, name string) (*class, error) {
	full := module + "." + name
	if c, ok := allowed[full]; ok {
		return c, nil
	}
	if c, ok := allowed[strings.Replace(full, "numpy._core.", "numpy.core.", 1)]; ok {
		return c, nil
	}
	if c, ok := m.unknown[full]; ok {
		return c, nil
	}
	c := &class{name: full}
	m.unknown[full] = c
	return c, m.charge(128 + len(full))
}

// newDict makes a dictionary: empty, of the items of another, or of a list of
// pairs, as Python 2 pickles an OrderedDict.
func newDict(m *machine, args tuple) (any, error) {
	d := &dict{}
	for _, a := range args {
		switch a := a.(type) {
		case *dict:
			d.items = append(d.items, a.items...)
		case *list:
			for _, item := range a.items {
				var kv []any
				switch item := item.(type) {
				case *list:
					kv = item.items
				case tuple:
					kv = item
				}
				if len(kv) != 2 {
					return nil, corrupt("a dictionary is made of %s instead of a pair", kind(item))
				}
				d.items = append(d.items, pair{kv[0], kv[1]})
			}
		case *object:
			d.items = append(d.items, a.items...)
		case nil, *class: // the factory of a defaultdict
		default:
			return nil, corrupt("a dictionary is made of %s", kind(a))
		}
	}
	return d, m.charge(48 + 32*len(d.items))
}

func newList(m *machine, args tuple) (any, error) {
	l := &list{}
	for _, a := range args {
		switch a := a.(type) {
		case *list:
			l.items = append(l.items, a.items...)
		case tuple:
			l.items = append(l.items, a...)
		case *object:
			l.items = append(l.items, a.list...)
		default:
			return nil, corrupt("a list is made of %s", kind(a))
		}
	}
	return l, m.charge(48 + 16*len(l.items))
}

// newBytes handles how protocols below 3 write empty bytes, and protocol 4 a bytearray.
func newBytes(_ *machine, args tuple) (any, error) {
	if len(args) == 0 {
		return byteString(""), nil
	}
	switch b := args[0].(type) {
	case byteString, span, *latin1Text:
		return b, nil
	}
	return nil, corrupt("bytes are made of %s", kind(args[0]))
}

// encodeLatin1 handles how Python 3 writes bytes in protocol 2: as a str with the
// code points of the bytes, to be encoded as Latin-1.
func encodeLatin1(m *machine, args tuple) (any, error) {
	if len(args) != 2 {
		return nil, corrupt("_codecs.encode has %d arguments instead of 2", len(args))
	}
	if enc, ok := asText(args[1]); !ok || enc != "latin1" && enc != "latin-1" {
		return &object{class: "_codecs.encode"}, nil
	}
	switch s := args[0].(type) {
	case string:
		b := make([]byte, 0, len(s))
		for _, r := range s {
			if r > 0xff {
				return nil, corrupt("bytes are written as text beyond Latin-1")
			}
			b = append(b, byte(r))
		}
		return byteString(b), m.charge(16 + 2*len(b))
	case span:
		if s.utf8 {
			return m.latin1(s)
		}
	}
	return nil, corrupt("_codecs.encode is called with %s", kind(args[0]))
}

// newObject handles (class, arguments…), the form of NEWOBJ in protocols 0 and 1.
func newObject(m *machine, args tuple) (any, error) {
	if len(args) == 0 {
		return nil, corrupt("an object is made without a class")
	}
	return m.apply(args[0], args[1:])
}

// reconstruct handles (class, base class, value of the base class), which protocols 0 and
// 1 make most objects with.
func reconstruct(_ *machine, args tuple) (any, error) {
	if len(args) != 3 {
		return nil, corrupt("an object is reconstructed from %d arguments instead of 3", len(args))
	}
	c, ok := args[0].(*class)
	if !ok {
		return nil, corrupt("an object is made of %s instead of a class", kind(args[0]))
	}
	o := &object{class: c.name}
	switch base := args[2].(type) {
	case *dict:
		o.items = base.items
	case *list:
		o.list = base.items
	}
	return o, nil
}
