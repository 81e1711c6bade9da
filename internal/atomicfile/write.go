package atomicfile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrBusy means that another process or goroutine is writing the file or the folder.
var ErrBusy = errors.New("another process or goroutine is writing it")

// Write replaces the content of the file at path by what the function write writes.
//
// The content goes to a file beside it, whose name ends in Suffix. That file is flushed to
// the disk and renamed, then the folder is flushed. If anything fails, Write returns an
// error that names path, removes the new file and leaves the old one as it was; only if
// flushing the folder fails does the file already have its new content. A file that a
// killed process left behind is overwritten by the next Write. The permissions of an
// existing file are kept. A symbolic link is replaced, not followed.
func Write(path string, write func(w io.Writer) error) error {
	if err := replace(path, write); err != nil {
		return cannot("write", path, err)
	}
	return nil
}

func replace(path string, write func(w io.Writer) error) (err error) {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() && info.Mode()&fs.ModeSymlink == 0 {
		return errors.New("it is not a regular file")
	}
	part := partName(path)
	f, err := open(part, path)
	if err != nil {
		return err
	}
	defer func() {
		if f != nil {
			// Removed while it is locked: once unlocked it may be another writer's.
			_ = os.Remove(part)
			_ = f.Close()
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := rename(f, path); err != nil {
		return err
	}
	f = nil
	return syncFolder(filepath.Dir(path))
}

// open creates, locks and empties the file that is written first, against writers in this
// process and in others. It gets the permissions of the file at path, if there is one.
func open(part, path string) (*os.File, error) {
	f, err := openLocked(part)
	if err != nil {
		return nil, err
	}
	err = f.Truncate(0)
	if info, there := os.Lstat(path); err == nil && there == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o200 != 0 {
		err = f.Chmod(info.Mode().Perm())
	}
	if err != nil {
		_ = os.Remove(part)
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func openLocked(part string) (*os.File, error) {
	for {
		f, err := os.OpenFile(part, os.O_CREATE|os.O_WRONLY, 0o666)
		if err != nil {
			return nil, err
		}
		if err := lock(f); err != nil {
			_ = f.Close()
			return nil, err
		}
		// Its last writer may have renamed it between opening and locking.
		mine, err := f.Stat()
		if err != nil {
			_ = f.Close()
			return nil, err
		}
		if there, err := os.Lstat(part); err == nil && os.SameFile(mine, there) {
			return f, nil
		}
		_ = f.Close()
	}
}
