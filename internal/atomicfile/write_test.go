package atomicfile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// put writes text to a file.
func put(path, text string) error {
	return Write(path, func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	})
}

// only is the content of the only file in a folder, which must have a name.
func only(t *testing.T, path string) string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, entries, 1, "nothing is left beside the file")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

func TestWriteReplaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	require.NoError(t, put(path, "a long first content"))
	require.Equal(t, "a long first content", only(t, path))
	require.NoError(t, put(path, "second"))
	require.Equal(t, "second", only(t, path))
}

func TestErrorsLeaveTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	require.NoError(t, put(path, "first"))
	full := errors.New("no space")
	err := Write(path, func(w io.Writer) error {
		_, err := io.WriteString(w, "sec")
		require.NoError(t, err)
		return full
	})
	require.ErrorIs(t, err, full)
	require.ErrorContains(t, err, path)
	require.Equal(t, "first", only(t, path))
}

// A file that a killed writer left is overwritten, however long.
func TestLeftoversAreTakenOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	require.NoError(t, os.WriteFile(path+Suffix, make([]byte, 1<<20), 0o600))
	require.NoError(t, put(path, "first"))
	require.Equal(t, "first", only(t, path))
}

func TestTwoWriters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	require.NoError(t, Write(path, func(w io.Writer) error {
		require.ErrorIs(t, put(path, "of the other"), ErrBusy)
		_, err := io.WriteString(w, "whole")
		return err
	}))
	require.Equal(t, "whole", only(t, path))
}

// Many writers at once: some are turned away, the file is always one of the contents.
func TestManyWriters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	require.NoError(t, put(path, "aaaaaaaa"))
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 50 {
				err := Write(path, func(w io.Writer) error {
					for range 8 {
						if _, err := w.Write([]byte{byte('a' + i)}); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil && !errors.Is(err, ErrBusy) {
					t.Errorf("writer %d: %v", i, err)
				}
			}
		})
	}
	for range 200 {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Len(t, text, 8)
		for _, c := range text {
			require.Equal(t, text[0], c, "%s", text)
		}
	}
	all.Wait()
	only(t, path)
}

func TestPlacesThatCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	require.ErrorContains(t, put(dir, "x"), "not a regular file")
	err := put(filepath.Join(dir, "none", "state"), "x")
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, os.Symlink("elsewhere", filepath.Join(dir, "link")))
	require.NoError(t, put(filepath.Join(dir, "link"), "x"))
	require.Equal(t, "x", only(t, filepath.Join(dir, "link")))
}
