package checkpoint

import (
	"math/big"
	"slices"
)

// The values of a pickle, as the machine holds them:
//
//	nil, bool, int64, *big.Int, float64   None, bool, int, float
//	string                                str, a short one in protocols above 1
//	byteString                            bytes or a Python 2 str, a short one in protocols above 1
//	span                                  long str or bytes, left in the file
//	*latin1Text                           long bytes that the file holds as text
//	tuple, *list, *dict                   tuple; list and set; dict and its subclasses
//	*class                                a class or function
//	*array                                a tensor or NumPy array
//	*numpyType                            a NumPy element type
//	*typedStorage                         what a persistent id of PyTorch refers to
//	*object                               an object of any other class
type (
	byteString string
	tuple      []any
	list       struct{ items []any }
	dict       struct{ items []pair }
	pair       struct{ key, value any }

	span struct {
		off, n int64
		utf8   bool
	}
)

// object is what a pickle makes with a class that is not in allowed. Nothing is known of
// it but what the pickle says.
type object struct {
	class string
	args  tuple
	state any    // the attributes, mostly
	items []pair // of a dictionary's subclass
	list  []any  // of a list's subclass
}

// attributes returns the attributes of an object by name, nil if it has none.
func (o *object) attributes() *dict {
	state := o.state
	if t, ok := state.(tuple); ok && len(t) == 2 { // with slots
		state = t[0]
	}
	d, _ := state.(*dict)
	return d
}

// class is a global. call is what REDUCE and NEWOBJ do with one in allowed.
type class struct {
	name  string
	call  func(m *machine, args tuple) (any, error)
	dtype DType // of a storage class or a torch.dtype
	size  int   // bytes of an element of a storage class, also where dtype is not supported
}

// get returns the value of a text key of a dictionary.
func (d *dict) get(key string) (any, bool) {
	for _, p := range d.items {
		if s, ok := asText(p.key); ok && s == key {
			return p.value, true
		}
	}
	return nil, false
}

// asText returns a short str, or a short byte string read as Latin-1 like
// pickle.load(encoding="latin1") does.
func asText(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case byteString:
		for i := 0; i < len(v); i++ {
			if v[i] >= 0x80 {
				return latin1(v), true
			}
		}
		return string(v), true
	}
	return "", false
}

func latin1(b byteString) string {
	r := make([]rune, len(b))
	for i := range r {
		r[i] = rune(b[i])
	}
	return string(r)
}

func asInt(v any) (int64, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}

// asInts returns the integers of a tuple or list.
func asInts(v any) ([]int64, bool) {
	var items []any
	switch v := v.(type) {
	case tuple:
		items = v
	case *list:
		items = v.items
	default:
		return nil, false
	}
	if len(items) > maxRank {
		return nil, false
	}
	ints := make([]int64, len(items))
	for i, item := range items {
		n, ok := asInt(item)
		if !ok {
			return nil, false
		}
		ints[i] = n
	}
	return ints, true
}

// pickledLong decodes the two's complement bytes of LONG1 and LONG4.
func pickledLong(b []byte) any {
	if len(b) == 0 {
		return int64(0)
	}
	reversed := slices.Clone(b)
	slices.Reverse(reversed)
	n := new(big.Int).SetBytes(reversed)
	if b[len(b)-1] >= 0x80 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	if n.IsInt64() {
		return n.Int64()
	}
	return n
}

// kind names a value for errors.
func kind(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		return "a truth value"
	case int64, *big.Int:
		return "an integer"
	case float64:
		return "a float"
	case string, byteString, span, *latin1Text:
		return "a string"
	case tuple:
		return "a tuple"
	case *list:
		return "a list"
	case *dict:
		return "a dictionary"
	case *class:
		return "the class " + v.name
	case *array:
		return "an array"
	case *numpyType:
		return "a NumPy type"
	case *typedStorage:
		return "a storage"
	case *object:
		return "an object of " + v.class
	}
	return "an unknown value"
}
