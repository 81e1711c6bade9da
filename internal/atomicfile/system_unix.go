//go:build unix

package atomicfile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// lock locks f until it is closed or the process ends. On file systems that have no
// locks it does nothing.
func lock(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return ErrBusy
	}
	return nil
}

// rename renames f to path, then closes it. In the other order, another writer could
// take the unlocked file over in between.
func rename(f *os.File, path string) error {
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return f.Close()
}

// checkFolder returns why no file can be made in a folder, or nil.
func checkFolder(path string) error {
	if err := unix.Access(path, unix.W_OK|unix.X_OK); err != nil {
		return &os.PathError{Op: "make files in the folder", Path: path, Err: err}
	}
	return nil
}

// syncFolder flushes a folder's entries to the disk, on file systems that can.
func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOTSUP) {
		return err
	}
	return nil
}

// openPipe opens a named pipe when it has a reader.
func openPipe(ctx context.Context, path string) (*os.File, error) {
	for {
		f, err := os.OpenFile(path, os.O_WRONLY|unix.O_NONBLOCK, 0)
		if !errors.Is(err, unix.ENXIO) {
			return f, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("nobody reads the pipe: %w", ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}
