package checkpoint

// typedStorage is what a persistent id of PyTorch stands for: limit elements of a
// storage from base on.
type typedStorage struct {
	class       *class
	data        *storage // its place may be filled in later
	base, limit int64
}

// array is a tensor or NumPy array without a name. problem says why it cannot be
// used; that matters only if it turns out to be part of the model.
type array struct {
	dtype   DType
	shape   []int64
	view    view
	problem error
	pending bool // a NumPy array before its state

	items []any      // of a NumPy array of objects
	whole *numpyInts // of a NumPy array of whole numbers
}

// storageClasses are PyTorch's storage classes with the type and size of an element.
var storageClasses = map[string]struct {
	dtype DType
	size  int
}{
	"DoubleStorage": {Float64, 8}, "FloatStorage": {Float32, 4}, "HalfStorage": {Float16, 2}, "BFloat16Storage": {BFloat16, 2},
	"LongStorage": {Int64, 8}, "IntStorage": {Int32, 4}, "ShortStorage": {Int16, 2}, "CharStorage": {Int8, 1},
	"ByteStorage": {Uint8, 1}, "BoolStorage": {Bool, 1}, "UntypedStorage": {Uint8, 1},
	"ComplexFloatStorage": {0, 8}, "ComplexDoubleStorage": {0, 16},
	"QInt8Storage": {0, 1}, "QUInt8Storage": {0, 1}, "QInt32Storage": {0, 4},
}

var torchTypes = map[string]DType{
	"float64": Float64, "double": Float64, "float32": Float32, "float": Float32, "float16": Float16, "half": Float16, "bfloat16": BFloat16,
	"int64": Int64, "long": Int64, "int32": Int32, "int": Int32, "int16": Int16, "short": Int16, "int8": Int8, "uint8": Uint8, "bool": Bool,
	"uint16": 0, "uint32": 0, "uint64": 0, "complex64": 0, "complex128": 0, "complex32": 0,
	"float8_e4m3fn": 0, "float8_e5m2": 0, "qint8": 0, "quint8": 0, "qint32": 0,
}

func allowTorch() {
	for name, s := range storageClasses {
		for _, module := range []string{"torch", "torch.cuda", "torch.storage"} {
			full := module + "." + name
			allowed[full] = &class{name: full, dtype: s.dtype, size: s.size}
		}
	}
	for name, d := range torchTypes {
		allowed["torch."+name] = &class{name: "torch." + name, dtype: d}
	}
	allow("torch._utils", rebuildTensor, "_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3")
	allow("torch._utils", rebuildParameter, "_rebuild_parameter", "_rebuild_parameter_with_state")
	allow("torch.nn.parameter", rebuildParameter, "Parameter", "Buffer")
	allow("torch._tensor", rebuildFromType, "_rebuild_from_type_v2")
	allow("torch.storage", loadFromBytes, "_load_from_bytes")
	allow("torch", nil, "Tensor", "device")
	allow("torch", func(_ *machine, args tuple) (any, error) {
		if len(args) != 1 {
			return nil, corrupt("torch.Size has %d arguments", len(args))
		}
		return args[0], nil
	}, "Size")
	const (
		quantised = "it is quantised: save the model as it was before"
		sparse    = "it is sparse: save tensor.to_dense()"
	)
	for form, what := range map[string]string{
		"_rebuild_qtensor": quantised, "_rebuild_sparse_tensor": sparse, "_rebuild_sparse_csr_tensor": sparse,
		"_rebuild_nested_tensor": "it is nested", "_rebuild_meta_tensor_no_storage": "it has a shape but no values (device meta): save the model after its weights were loaded",
		"_rebuild_wrapper_subclass": "it is of a tensor class that wraps others, such as DTensor: save tensor.full_tensor(), or the model's full state dictionary",
	} {
		allow("torch._utils", func(m *machine, _ tuple) (any, error) { return &array{problem: unsupported("%s", what)}, m.charge(256) }, form)
	}
	allow("torch._utils", rebuildFromHost, "_rebuild_device_tensor_from_numpy", "_rebuild_device_tensor_from_cpu_tensor", "_rebuild_xla_tensor")
}

// rebuildTensor handles (storage, offset, size, stride, requires_grad, hooks, …).
// Version 3 adds the element type of an untyped storage; the last argument, if
// any, holds lazy operations (conjugate, negative).
func rebuildTensor(m *machine, args tuple) (any, error) {
	if len(args) < 4 || len(args) > 8 {
		return nil, corrupt("a tensor is rebuilt from %d arguments", len(args))
	}
	s, ok := args[0].(*typedStorage)
	if o, other := args[0].(*object); other {
		return &array{problem: unsupported("its values are %s", kind(o))}, m.charge(256)
	}
	if !ok {
		return nil, corrupt("a tensor is rebuilt from %s instead of a storage", kind(args[0]))
	}
	offset, ok1 := asInt(args[1])
	shape, ok2 := asInts(args[2])
	strides, ok3 := asInts(args[3])
	if !ok1 || !ok2 || !ok3 {
		return nil, corrupt("a tensor has offset, shape or strides that are not integers, or more than %d dimensions", maxRank)
	}
	a := &array{
		dtype: s.class.dtype,
		shape: shape,
		view:  view{store: s.data, base: s.base, limit: s.limit, offset: offset, strides: strides},
	}
	element := s.class
	rest := args[min(6, len(args)):]
	if len(rest) > 0 {
		if c, ok := rest[0].(*class); ok {
			if s.class.size != 1 || s.base != 0 {
				return nil, corrupt("a tensor gives an element type to a storage that has one")
			}
			element, rest = c, rest[1:]
			a.dtype = c.dtype
			a.view.limit = s.limit / int64(max(c.dtype.Size(), 1))
		}
	}
	if a.dtype == 0 {
		a.problem = unsupported("element type %s is not supported", element.name)
	}
	if len(rest) > 0 {
		if d, ok := rest[0].(*dict); rest[0] != nil && (!ok || len(d.items) > 0) {
			a.problem = unsupported("it has pending operations (a conjugate or negative view)")
		}
	}
	return a, m.charge(256 + 16*len(shape))
}

func rebuildParameter(_ *machine, args tuple) (any, error) {
	if len(args) < 1 || len(args) > 4 {
		return nil, corrupt("a parameter is rebuilt from %d arguments", len(args))
	}
	switch v := args[0].(type) {
	case *array, *object:
		return v, nil
	}
	return nil, corrupt("a parameter is rebuilt from %s", kind(args[0]))
}

// rebuildFromHost handles (array or tensor, element type, device, requires_grad) for
// tensors that were on a device without storages of its own, such as a TPU.
func rebuildFromHost(m *machine, args tuple) (any, error) {
	if len(args) != 4 {
		return nil, corrupt("a tensor is rebuilt from %d arguments instead of 4", len(args))
	}
	a, ok := args[0].(*array)
	c, typed := args[1].(*class)
	if !ok || !typed || a.problem == nil && c.dtype != a.dtype {
		return &array{problem: unsupported("it is of %s and was on a device that kept it as another type", kind(args[1]))}, m.charge(256)
	}
	return a, nil
}

// rebuildFromType handles (function, class, arguments, state) for tensors of subclasses or
// with Python attributes, of which the values stay.
func rebuildFromType(m *machine, args tuple) (any, error) {
	if len(args) != 4 {
		return nil, corrupt("a tensor is rebuilt from %d arguments instead of 4", len(args))
	}
	inner, ok := args[2].(tuple)
	if !ok {
		return nil, corrupt("a tensor is rebuilt from %s", kind(args[2]))
	}
	return m.apply(args[0], inner)
}

// storageID is the tuple that PyTorch uses as persistent id of a storage.
type storageID struct {
	class *class
	key   string
	count int64 // elements
	view  any   // the older form only: None or (key, offset, size)
}

// parseStorageID reads a persistent id. It returns false for one of something else.
func parseStorageID(id any) (s storageID, found bool, err error) {
	t, ok := id.(tuple)
	if !ok || len(t) == 0 {
		return s, false, nil
	}
	if what, _ := asText(t[0]); what != "storage" {
		return s, false, nil
	}
	if len(t) < 5 || len(t) > 6 {
		return s, false, corrupt("a persistent id describes a storage by %d values", len(t))
	}
	class, ok1 := t[1].(*class)
	key, ok2 := asText(t[2])
	count, ok3 := asInt(t[4])
	if ok1 && class.size == 0 && allowed[class.name] == nil {
		return s, false, nil // of a type that is not known here
	}
	if !ok1 || class.size == 0 || !ok2 || !ok3 || count < 0 {
		return s, false, corrupt("a persistent id does not describe a storage")
	}
	s = storageID{class: class, key: key, count: count}
	if len(t) == 6 {
		s.view = t[5]
	}
	return s, true, nil
}

// persistentID is in place of a class in what a persistent id stands for that says nothing.
const persistentID = "a persistent id"

// otherID returns what a persistent id stands for that is not of a storage: the older form
// of PyTorch marks classes of modules with one.
func otherID(id any) any {
	t, _ := id.(tuple)
	if len(t) > 1 {
		if c, ok := t[1].(*class); ok {
			if what, _ := asText(t[0]); what == "module" {
				return c
			}
			return &object{class: c.name}
		}
	}
	return &object{class: persistentID}
}
