package checkpoint

import (
	"archive/zip"
	"errors"
	"io"
	"sort"
	"strings"
)

// maxDataPickle bounds data.pkl, which holds names and shapes only.
const maxDataPickle = 1 << 28

// zipArchive gives the places of the entries of a PyTorch archive.
type zipArchive struct {
	r       io.ReaderAt
	size    int64
	entries map[string]*zip.File
	prefix  string // folder of data.pkl, with its slash
	placed  map[string]*storage
}

func readZip(r io.ReaderAt, size int64) (*File, error) {
	f, err := parseZip(r, size)
	return f, annotate(err, "", PyTorchZip, "")
}

func parseZip(r io.ReaderAt, size int64) (*File, error) {
	a, err := openArchive(r, size)
	if err != nil {
		return nil, err
	}
	bigEndian, err := a.byteOrder()
	if err != nil {
		return nil, err
	}
	data, err := a.place("data.pkl")
	if err != nil {
		return nil, err
	}
	if data.n > maxDataPickle {
		return nil, unsupported("data.pkl has %d bytes, more than %d", data.n, maxDataPickle)
	}
	m := newMachine(newPickleInput(r, data.off, data.off+data.n, pickleBuffer), a.resolve)
	root, err := m.run()
	if err != nil {
		return nil, err
	}
	if m.in.pos != m.in.end {
		return nil, corrupt("%d bytes after the end of data.pkl", m.in.end-m.in.pos)
	}
	if err := a.checkOverlap(); err != nil {
		return nil, err
	}
	f := &File{Format: PyTorchZip}
	if err := collect(f, m, root); err != nil {
		return nil, err
	}
	f.setByteOrder(bigEndian)
	return f, nil
}

func (f *File) setByteOrder(bigEndian bool) {
	for _, g := range f.groups {
		for _, t := range g.tensors {
			t.view.bigEndian = bigEndian
		}
	}
}

// openArchive reads the directory and finds data.pkl.
func openArchive(r io.ReaderAt, size int64) (*zipArchive, error) {
	z, err := zip.NewReader(r, size)
	if errors.Is(err, zip.ErrFormat) || errors.Is(err, zip.ErrAlgorithm) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, corrupt("the zip archive is cut off or damaged")
	}
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return nil, readError("the zip directory", err)
	}
	a := &zipArchive{r: r, size: size, entries: make(map[string]*zip.File, len(z.File)), placed: map[string]*storage{}}
	found, npz := 0, false
	for _, e := range z.File {
		if _, twice := a.entries[e.Name]; twice {
			return nil, corrupt("the zip archive has %s twice", quoted(e.Name))
		}
		a.entries[e.Name] = e
		folder, isData := strings.CutSuffix(e.Name, "data.pkl")
		if isData && (folder == "" || strings.Count(folder, "/") == 1 && strings.HasSuffix(folder, "/")) {
			a.prefix = folder
			found++
		}
		npz = npz || strings.HasSuffix(e.Name, ".npy")
	}
	switch {
	case found == 1 && a.entries[a.prefix+"constants.pkl"] != nil:
		return nil, unsupported("it is a TorchScript program; save the state_dict() of the model instead")
	case found == 1:
		return a, nil
	case found > 1:
		return nil, corrupt("the zip archive has data.pkl in %d folders", found)
	case npz:
		return nil, &FormatError{Reason: "not a checkpoint: it is an archive of NumPy arrays (.npz)", Err: ErrNotCheckpoint}
	}
	return nil, &FormatError{Reason: "not a checkpoint: it is a zip archive without data.pkl", Err: ErrNotCheckpoint}
}

// byteOrder reads the entry that newer versions of PyTorch write.
func (a *zipArchive) byteOrder() (bigEndian bool, err error) {
	if a.entries[a.prefix+"byteorder"] == nil {
		return false, nil
	}
	s, err := a.place("byteorder")
	if err != nil {
		return false, err
	}
	b := make([]byte, min(s.n, 16))
	if err := s.readAt(b, 0); err != nil {
		return false, err
	}
	switch string(b) {
	case "little":
		return false, nil
	case "big":
		return true, nil
	}
	return false, corrupt("the byte order is %s", quoted(string(b)))
}

// place returns the bytes of an entry, which must be stored without compression.
func (a *zipArchive) place(name string) (*storage, error) {
	if s, ok := a.placed[name]; ok {
		return s, nil
	}
	e, ok := a.entries[a.prefix+name]
	if !ok {
		return nil, corrupt("the zip archive has no entry %s", quoted(a.prefix+name))
	}
	if e.Method != zip.Store || e.Flags&1 != 0 {
		return nil, unsupported("zip entry %s is compressed or encrypted, unlike PyTorch's: pack the archive again without compression (zip -0)",
			quoted(e.Name))
	}
	if e.CompressedSize64 != e.UncompressedSize64 {
		return nil, corrupt("zip entry %s is stored but has two sizes", quoted(e.Name))
	}
	off, err := e.DataOffset()
	if err != nil {
		return nil, corrupt("zip entry %s has no valid header: %v", quoted(e.Name), err)
	}
	if off < 0 || off > a.size || e.UncompressedSize64 > uint64(a.size-off) {
		return nil, corrupt("zip entry %s of %d bytes ends after the file", quoted(e.Name), e.UncompressedSize64)
	}
	s := &storage{a.r, off, int64(e.UncompressedSize64)}
	a.placed[name] = s
	return s, nil
}

// resolve finds the entry of a storage.
func (a *zipArchive) resolve(id any) (any, error) {
	s, ok, err := parseStorageID(id)
	if err != nil {
		return nil, err
	}
	if !ok {
		return otherID(id), nil
	}
	data, err := a.place("data/" + s.key)
	if err != nil {
		return nil, err
	}
	if s.count > data.n/int64(s.class.size) || s.count*int64(s.class.size) != data.n {
		return nil, corrupt("storage %s has %d bytes where %d elements of %s are announced", quoted(s.key), data.n, s.count, s.class.name)
	}
	return &typedStorage{class: s.class, data: data, limit: s.count}, nil
}

// checkOverlap verifies that no two entries share bytes.
func (a *zipArchive) checkOverlap() error {
	all := make([]*storage, 0, len(a.placed))
	for _, s := range a.placed {
		if s.n > 0 {
			all = append(all, s)
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].off < all[j].off })
	for i := 1; i < len(all); i++ {
		if all[i].off < all[i-1].off+all[i-1].n {
			return corrupt("two zip entries overlap at position %d", all[i].off)
		}
	}
	return nil
}
