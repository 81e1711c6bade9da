package journal

import (
	"errors"
	"fmt"
	"os"
)

// file grows by whole pieces: of one that does not fit, no part stays.
type file struct {
	f    *os.File
	size int64
}

// openFile opens a file, made if need be, at its end.
func openFile(path string, flags int) (*file, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|flags, 0o666)
	if err != nil {
		return nil, wrap(err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(wrap(err), f.Close())
	}
	return &file{f, info.Size()}, nil
}

func (f *file) append(piece []byte) error {
	if _, err := f.f.WriteAt(piece, f.size); err != nil {
		return errors.Join(wrap(err), f.truncate(f.size))
	}
	f.size += int64(len(piece))
	return nil
}

func (f *file) truncate(size int64) error {
	if err := f.f.Truncate(size); err != nil {
		return wrap(err)
	}
	f.size = size
	return nil
}

func (f *file) sync() error  { return wrap(f.f.Sync()) }
func (f *file) close() error { return wrap(f.f.Close()) }

// wrap names the package; the errors of package os name the file.
func wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("journal: %w", err)
}
