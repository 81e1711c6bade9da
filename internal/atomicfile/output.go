package atomicfile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Output writes a file that a user named. It is Write, but symbolic links are followed, a
// file without write permission is refused, and what is not a regular file, such as a pipe,
// a terminal or /dev/stdout, is written to as it is.
func Output(path string, write func(w io.Writer) error) error {
	target, stream, err := resolve(path)
	switch {
	case err != nil:
		return cannot("write", path, err)
	case !stream:
		return Write(target, write)
	}
	f, err := openStream(path)
	if err != nil {
		return cannot("write", path, err)
	}
	err = write(f)
	if f != os.Stdout && f != os.Stderr {
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return cannot("write", path, err)
	}
	return nil
}

// CheckOutput returns the error that Output would meet before it writes anything: a name
// that is too long, a missing or read-only folder, a file without write permission.
func CheckOutput(path string) error {
	target, stream, err := resolve(path)
	if err == nil && !stream {
		if _, err = os.Lstat(partName(target)); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		if err == nil {
			err = checkFolder(filepath.Dir(target))
		}
	}
	if err != nil {
		return cannot("write", path, err)
	}
	return nil
}

// resolve follows the symbolic links at path. stream reports whether what is there must be
// written to as it is.
func resolve(path string) (target string, stream bool, err error) {
	info, err := os.Stat(path)
	exists := err == nil
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return "", false, err
	case info.IsDir():
		return "", false, errors.New("it is a folder")
	case !info.Mode().IsRegular() || standard(info) != nil:
		return path, true, nil
	}
	target = path
	for range 100 {
		link, err := os.Readlink(target)
		if err != nil {
			break
		}
		if !filepath.IsAbs(link) {
			link = filepath.Join(filepath.Dir(target), link)
		}
		target = link
	}
	if !exists {
		return target, false, nil
	}
	if there, err := os.Stat(target); err != nil || !os.SameFile(there, info) {
		return path, true, nil // a file that has no name any more, such as a deleted one in /dev/fd
	}
	f, err := os.OpenFile(target, os.O_WRONLY, 0)
	if err != nil {
		return "", false, err
	}
	return target, false, f.Close()
}

// standard returns the standard output or standard error if it is the file, or nil.
func standard(info fs.FileInfo) *os.File {
	for _, f := range []*os.File{os.Stdout, os.Stderr} {
		if own, err := f.Stat(); err == nil && os.SameFile(own, info) {
			return f
		}
	}
	return nil
}

// openStream opens what is not replaced. Standard output keeps its position.
func openStream(path string) (*os.File, error) {
	if info, err := os.Stat(path); err == nil {
		if f := standard(info); f != nil {
			return f, nil
		}
	}
	return os.OpenFile(path, os.O_WRONLY, 0)
}
