package atomicfile

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Output writes a file that a user named. It is Write, but symbolic links are followed, a
// file without write permission is refused, and what is not a regular file, such as a pipe,
// a terminal or /dev/stdout, is written to as it is. A named pipe may have no reader, or one
// that does not read: waiting for it ends with ctx. If ctx is done before, Output does not wait
// for a reader.
func Output(ctx context.Context, path string, write func(w io.Writer) error) error {
	target, stream, err := resolve(path)
	switch {
	case err != nil:
		return cannot("write", path, err)
	case !stream:
		return Write(target, write)
	}
	f, err := openStream(ctx, path)
	if err != nil {
		return cannot("write", path, err)
	}
	if f == os.Stdout || f == os.Stderr {
		err = write(f)
	} else {
		err = writeStream(ctx, f, write)
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
func openStream(ctx context.Context, path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if f := standard(info); f != nil {
		return f, nil
	}
	if info.Mode()&fs.ModeNamedPipe != 0 {
		return openPipe(ctx, path)
	}
	return os.OpenFile(path, os.O_WRONLY, 0)
}

// writeStream writes f and closes it.
func writeStream(ctx context.Context, f *os.File, write func(w io.Writer) error) error {
	release := func() bool { return true }
	if ctx.Err() == nil {
		release = context.AfterFunc(ctx, func() { _ = f.SetWriteDeadline(time.Unix(1, 0)) }) // nothing but a pipe has one
	}
	err := write(f)
	release()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = ctx.Err()
	}
	return errors.Join(err, f.Close())
}
