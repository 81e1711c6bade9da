//go:build unix

package regular

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// others makes one of everything that is not a file.
func others(t *testing.T) map[string]string {
	folder := t.TempDir()
	fifo, link := filepath.Join(folder, "fifo"), filepath.Join(folder, "link")
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	require.NoError(t, os.Symlink(fifo, link))
	short, err := os.MkdirTemp("", "r") // the name of a socket has at most 100 bytes
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(short) })
	socket := filepath.Join(short, "s")
	l, err := net.Listen("unix", socket)
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return map[string]string{
		folder: "folder", fifo: "named pipe", link: "named pipe", socket: "socket", "/dev/zero": "device",
	}
}

func TestOnlyFilesAreOpened(t *testing.T) {
	for path, what := range others(t) {
		for name, open := range map[string]func() error{
			"Open":       func() error { _, err := Open(path); return err },
			"OpenStream": func() error { _, err := OpenStream(path); return err },
			"ReadFile":   func() error { _, err := ReadFile(path, 10); return err },
			"OpenIn":     func() error { _, err := OpenIn(os.DirFS("/"), strings.TrimPrefix(path, "/")); return err },
		} {
			err := open()
			require.ErrorIs(t, err, ErrNotRegular, name)
			require.ErrorContains(t, err, "it is a "+what, name)
			require.ErrorContains(t, err, strings.TrimPrefix(path, "/"), name)
		}
	}
	_, err := Open(filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestFilesAreRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte("twelve bytes"), 0o600))
	text, err := ReadFile(path, 12)
	require.NoError(t, err)
	require.Equal(t, "twelve bytes", string(text))
	_, err = ReadFile(path, 11)
	require.ErrorContains(t, err, "at most 11 bytes")
	f, err := OpenIn(os.DirFS(filepath.Dir(path)), "file")
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

func TestPipesOfTheProcessAreStreams(t *testing.T) {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	_, err = w.WriteString("from a command")
	require.NoError(t, err)
	path := fmt.Sprintf("/dev/fd/%d", r.Fd())
	_, err = Open(path)
	require.ErrorIs(t, err, ErrNotRegular)
	s, err := OpenStream(path)
	require.NoError(t, err)
	defer s.Close()
	require.NoError(t, w.Close())
	text, err := io.ReadAll(s)
	require.NoError(t, err)
	require.Equal(t, "from a command", string(text))
}

func TestStreamsEnd(t *testing.T) {
	s := &stream{"/dev/fd/9", io.NopCloser(zeros{}), 1000}
	n, err := io.Copy(io.Discard, s)
	require.EqualValues(t, 1000, n)
	require.ErrorContains(t, err, "/dev/fd/9")
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
