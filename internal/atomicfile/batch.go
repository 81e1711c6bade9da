package atomicfile

import (
	"errors"
	"io"
	"os"
)

// A Batch replaces files that belong together, such as a picture and its legend, in a
// folder that the caller has locked. Until Commit no file changes. The file that was created
// last vouches for the others: Commit removes its old version first and puts the new one in
// its place last, so that a process killed in between never leaves it beside others' old
// content.
//
// A Batch survives a killed process and a full disk. It does not flush to the disk, which
// would take milliseconds per file, so a power failure may lose files that were just written.
//
// The zero value is ready for use.
type Batch struct{ parts []*batchPart }

type batchPart struct {
	path string
	f    *os.File
	err  error // the first of writing or closing
}

// Create adds a file, whose content is what is written to the result before it is closed.
func (b *Batch) Create(path string) (io.WriteCloser, error) {
	f, err := open(partName(path), path)
	if err != nil {
		return nil, cannot("write", path, err)
	}
	p := &batchPart{path: path, f: f}
	b.parts = append(b.parts, p)
	return p, nil
}

func (p *batchPart) Write(data []byte) (int, error) {
	n, err := p.f.Write(data)
	p.err = errors.Join(p.err, err)
	return n, err
}

func (p *batchPart) Close() error {
	err := p.f.Close()
	p.err = errors.Join(p.err, err)
	return err
}

// Commit puts the files in their places. If it returns an error, the Batch must be aborted.
func (b *Batch) Commit() error {
	for _, p := range b.parts {
		if p.err != nil {
			return cannot("write", p.path, p.err)
		}
	}
	if n := len(b.parts); n > 1 {
		if err := os.Remove(b.parts[n-1].path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return cannot("replace", b.parts[n-1].path, err)
		}
	}
	for len(b.parts) > 0 {
		p := b.parts[0]
		if err := os.Rename(partName(p.path), p.path); err != nil {
			return cannot("replace", p.path, err)
		}
		b.parts = b.parts[1:]
	}
	return nil
}

// Abort removes what was written and not committed. After Commit it does nothing.
func (b *Batch) Abort() {
	for _, p := range b.parts {
		_ = p.f.Close() // it may be closed already
		_ = os.Remove(partName(p.path))
	}
	b.parts = nil
}
