// Package regular opens files where a file is expected. A path that leads to a folder,
// a named pipe, a socket or a device is refused at once: opening a pipe without a writer
// blocks for ever, and reading /dev/zero never ends.
package regular

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/diffusioninst/go/internal/nilcheck"
)

// ErrNotRegular says that a path leads to something that is not a file.
var ErrNotRegular = errors.New("not a regular file")

// Open opens the regular file at path for reading. Anything else is an *fs.PathError
// that wraps ErrNotRegular.
func Open(path string) (*os.File, error) {
	f, info, err := open(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		_ = f.Close()
		return nil, refuse(path, info.Mode())
	}
	return f, nil
}

// MaxStream bounds what is read from a pipe, whose end nobody knows: 4 GiB.
const MaxStream = 4 << 30

// OpenStream opens what Open does, and pipes that the process was started with: standard
// input as /dev/stdin, and what a shell makes of <(command). Such a pipe has a
// writer, so that opening it never blocks; of what it delivers MaxStream bytes are read.
// /dev/null is an empty stream.
func OpenStream(path string) (io.ReadCloser, error) {
	f, info, err := open(path)
	switch {
	case err != nil:
		return nil, err
	case info.Mode().IsRegular() || path == os.DevNull:
		return f, nil
	case streams(path, info):
		return &stream{path, f, MaxStream}, nil
	}
	_ = f.Close()
	return nil, refuse(path, info.Mode())
}

// Inherited reports whether a path names an open file of the process itself.
func Inherited(path string) bool {
	return path == "/dev/stdin" || strings.HasPrefix(path, "/dev/fd/") || strings.HasPrefix(path, "/proc/self/fd/")
}

// ReadFile returns the content of the regular file at path. More than limit bytes are an
// error.
func ReadFile(path string, limit int64) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limit+1)) // a file may grow while it is read
	if err == nil && int64(len(text)) > limit {
		err = &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("too large: at most %d bytes are read", limit)}
	}
	if err != nil {
		return nil, err
	}
	return text, nil
}

// OpenIn opens a regular file of a file system. It looks before it opens.
func OpenIn(files fs.FS, name string) (fs.File, error) {
	if nilcheck.Is(files) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("there is no file system")}
	}
	info, err := fs.Stat(files, name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, refuse(name, info.Mode())
	}
	return files.Open(name)
}

// open looks at what is at path and opens it if that cannot block.
func open(path string) (*os.File, fs.FileInfo, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() && !streams(path, info) {
		return nil, nil, refuse(path, info.Mode())
	}
	// Not blocking, because a pipe may have taken the file's place since.
	f, err := os.OpenFile(path, os.O_RDONLY|nonBlocking, 0)
	if err != nil {
		return nil, nil, err
	}
	if info, err = f.Stat(); err != nil {
		_ = f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// streams reports whether OpenStream takes something that is not a file.
func streams(path string, info fs.FileInfo) bool {
	return path == os.DevNull || info.Mode()&fs.ModeNamedPipe != 0 && Inherited(path)
}

// refuse says what is at path instead of a file.
func refuse(path string, mode fs.FileMode) error {
	what := "it is not a file"
	switch {
	case mode.IsDir():
		what = "it is a folder"
	case mode&fs.ModeNamedPipe != 0:
		what = "it is a named pipe, not a file"
	case mode&fs.ModeSocket != 0:
		what = "it is a socket, not a file"
	case mode&fs.ModeDevice != 0:
		what = "it is a device, not a file"
	}
	return &fs.PathError{Op: "open", Path: path, Err: &notRegular{what}}
}

// notRegular is ErrNotRegular in words.
type notRegular struct{ what string }

func (e *notRegular) Error() string        { return e.what }
func (e *notRegular) Is(target error) bool { return target == ErrNotRegular }

// stream is a pipe that ends with an error after so many bytes.
type stream struct {
	path string
	io.ReadCloser
	left int64
}

func (s *stream) Read(p []byte) (int, error) {
	if s.left <= 0 {
		return 0, &fs.PathError{Op: "read", Path: s.path, Err: fmt.Errorf("the pipe delivers more than %d bytes: write them to a file", int64(MaxStream))}
	}
	n, err := s.ReadCloser.Read(p[:min(int64(len(p)), s.left)])
	s.left -= int64(n)
	return n, err
}
