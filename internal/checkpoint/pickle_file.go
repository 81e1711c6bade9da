package checkpoint

import (
	"encoding/binary"
	"io"
	"math/big"
)

// legacyMagic is the number that the older PyTorch form begins with.
var legacyMagic, _ = new(big.Int).SetString("1950a86a20f9469cfc6c", 16)

const (
	legacyProtocol = 1001
	pickleBuffer   = 1 << 14
)

// readPickle reads a file that begins with a pickle: PyTorch's older form if its
// value is PyTorch's magic number, otherwise a dictionary of NumPy arrays.
func readPickle(r io.ReaderAt, size int64) (*File, error) {
	m := newMachine(newPickleInput(r, 0, size, pickleBuffer), nil)
	first, err := m.run()
	if err != nil {
		return nil, annotate(err, "", Pickle, "")
	}
	if n, ok := first.(*big.Int); ok {
		if n.Cmp(legacyMagic) != 0 {
			return nil, &FormatError{Reason: "not a checkpoint: it is a pickled number", Err: ErrNotCheckpoint}
		}
		f, err := readLegacy(m, size)
		return f, annotate(err, "", PyTorchLegacy, "")
	}
	f := &File{Format: Pickle}
	if m.in.pos != size {
		err = corrupt("%d bytes after the end of the pickle", size-m.in.pos)
	} else {
		err = collect(f, m, first)
	}
	if err != nil {
		return nil, annotate(err, "", Pickle, "")
	}
	return f, nil
}

func readLegacy(m *machine, size int64) (*File, error) {
	root, err := runLegacy(m, size)
	if err != nil {
		return nil, err
	}
	f := &File{Format: PyTorchLegacy}
	return f, collect(f, m, root)
}

// runLegacy reads what follows the magic number: protocol version, system
// information, the object, the keys of its storages, and the storages up to
// position end: for each the number of elements in 8 bytes, then the elements.
// It returns the object.
func runLegacy(m *machine, end int64) (any, error) {
	if v, err := m.run(); err != nil {
		return nil, err
	} else if v != int64(legacyProtocol) {
		return nil, unsupported("version %v of the format", v)
	}
	if v, err := m.run(); err != nil {
		return nil, err
	} else if _, ok := v.(*dict); !ok {
		return nil, corrupt("%s where system information is expected", kind(v))
	}
	storages := legacyStorages{}
	m.persist = storages.resolve
	root, err := m.run()
	if err != nil {
		return nil, err
	}
	m.persist = nil
	keys, err := m.run()
	if err != nil {
		return nil, err
	}
	list, ok := keys.(*list)
	if !ok {
		return nil, corrupt("%s where the keys of the storages are expected", kind(keys))
	}
	last, err := storages.place(list.items, m.in.r, m.in.pos, end)
	if err == nil && last != end {
		err = corrupt("%d bytes after the last storage", end-last)
	}
	return root, err
}

// loadFromBytes handles tensors that were pickled without torch.save, as the
// conversion scripts of Swin checkpoints do: each storage is a whole file of the
// older form inside a bytes object.
func loadFromBytes(m *machine, args tuple) (any, error) {
	if len(args) != 1 || m.nested {
		return nil, corrupt("a storage is loaded from %d arguments or from inside another", len(args))
	}
	s, ok := m.bytes(args[0])
	if !ok {
		return nil, corrupt("a storage is loaded from %s", kind(args[0]))
	}
	inner := &machine{in: newPickleInput(s.r, s.off, s.off+s.n, maxShort), memory: m.memory - 4*maxShort, nested: true, unknown: m.unknown}
	magic, err := inner.run()
	if err != nil {
		return nil, err
	}
	if n, ok := magic.(*big.Int); !ok || n.Cmp(legacyMagic) != 0 {
		return nil, unsupported("a pickled storage is not of PyTorch's older form")
	}
	root, err := runLegacy(inner, s.off+s.n)
	if err != nil {
		return nil, err
	}
	m.memory = inner.memory
	if _, ok := root.(*typedStorage); !ok {
		return nil, corrupt("%s where a storage is expected", kind(root))
	}
	return root, nil
}

// legacyStorage is one storage whose place is known only after the object.
type legacyStorage struct {
	data   *storage
	size   int // bytes of an element
	count  int64
	placed bool
}

type legacyStorages map[string]*legacyStorage

func (all legacyStorages) resolve(id any) (any, error) {
	s, ok, err := parseStorageID(id)
	if err != nil {
		return nil, err
	}
	if !ok {
		return otherID(id), nil
	}
	root, ok := all[s.key]
	if !ok {
		root = &legacyStorage{data: &storage{}, size: s.class.size, count: s.count}
		all[s.key] = root
	}
	if root.size != s.class.size || root.count != s.count {
		return nil, corrupt("storage %s is described in two ways", quoted(s.key))
	}
	typed := &typedStorage{class: s.class, data: root.data, limit: s.count}
	if s.view == nil {
		return typed, nil
	}
	v, ok := s.view.(tuple)
	if !ok || len(v) != 3 {
		return nil, corrupt("the view of a storage is %s", kind(s.view))
	}
	offset, ok1 := asInt(v[1])
	count, ok2 := asInt(v[2])
	if !ok1 || !ok2 || offset < 0 || count < 0 || offset > s.count || count > s.count-offset {
		return nil, corrupt("the view of storage %s lies outside it", quoted(s.key))
	}
	typed.base, typed.limit = offset, count
	return typed, nil
}

// place finds the storages from pos on and returns the end of the last.
func (all legacyStorages) place(keys []any, r io.ReaderAt, pos, size int64) (int64, error) {
	for _, k := range keys {
		key, _ := asText(k)
		s, ok := all[key]
		if !ok || s.placed {
			return 0, corrupt("storage %s is unknown or listed twice", quoted(key))
		}
		var head [8]byte
		if size-pos < 8 {
			return 0, corrupt("the file ends before storage %s", quoted(key))
		}
		if n, err := r.ReadAt(head[:], pos); n < 8 {
			return 0, readError("a storage", err)
		}
		pos += 8
		count := int64(binary.LittleEndian.Uint64(head[:]))
		if count != s.count {
			return 0, corrupt("storage %s has %d elements where %d are announced", quoted(key), count, s.count)
		}
		if count > (size-pos)/int64(s.size) {
			return 0, corrupt("storage %s of %d elements ends after the file", quoted(key), count)
		}
		*s.data = storage{r, pos, count * int64(s.size)}
		s.placed = true
		pos += s.data.n
	}
	for key, s := range all {
		if !s.placed {
			return 0, corrupt("storage %s is missing", quoted(key))
		}
	}
	return pos, nil
}
