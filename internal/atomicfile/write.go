package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Suffix follows a file's name while its next content is being written.
const Suffix = ".part"

// ErrBusy says that somebody else is writing the file.
var ErrBusy = errors.New("another writer is at it")

// Write makes what write writes the content of the file at path. It goes to a file
// beside it, with Suffix, which is brought to the disk and then renamed; the folder,
// too, is brought to the disk. An error, which names path, leaves the file as it was and
// removes the other one; only where the very last of these, the folder's, fails is the
// file the new one. What a killed process leaves behind is taken over by the next Write.
// A symbolic link is replaced, not followed.
func Write(path string, write func(w io.Writer) error) error {
	if err := replace(path, write); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

func replace(path string, write func(w io.Writer) error) (err error) {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() && info.Mode()&fs.ModeSymlink == 0 {
		return errors.New("it is not a regular file")
	}
	part := path + Suffix
	f, err := open(part)
	if err != nil {
		return err
	}
	defer func() {
		if f != nil {
			// Removed before it is closed, that is unlocked: afterwards it may be another writer's.
			_ = os.Remove(part)
			_ = f.Close()
		}
	}()
	if err := f.Truncate(0); err != nil {
		return err
	}
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

// open opens the file that is written and keeps other writers, of this process and of
// others, away from it.
func open(part string) (*os.File, error) {
	for {
		f, err := os.OpenFile(part, os.O_CREATE|os.O_WRONLY, 0o666)
		if err != nil {
			return nil, err
		}
		if err := lock(f); err != nil {
			_ = f.Close()
			return nil, err
		}
		// Before it was locked its last writer may have finished and renamed it.
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
