package atomicfile

import "os"

// A FolderLock keeps other writers away from a folder until it is closed or the process
// ends in whatever way.
type FolderLock struct{ f *os.File }

// LockFolder makes a folder with its parents, if need be, and locks it. The error wraps
// ErrBusy if another process or goroutine has the lock, and says what else would keep files
// from being made in the folder. Nothing is written into it. On file systems that have no
// locks, LockFolder locks nothing.
func LockFolder(path string) (*FolderLock, error) {
	f, err := openFolder(path)
	if err != nil {
		return nil, cannot("write into the folder", path, err)
	}
	return &FolderLock{f}, nil
}

func openFolder(path string) (*os.File, error) {
	if err := os.MkdirAll(path, 0o777); err != nil {
		return nil, err
	}
	if err := checkFolder(path); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := lock(f); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// Close unlocks the folder.
func (l *FolderLock) Close() error { return l.f.Close() }

// Lock keeps other writers away from an open file until it is closed or the process ends. The error is ErrBusy if another
// process or goroutine has the lock. On file systems that have no locks it does nothing.
func Lock(f *os.File) error { return lock(f) }
