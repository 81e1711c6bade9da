//go:build unix

package atomicfile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func fill(t *testing.T, b *Batch, path, text string) {
	t.Helper()
	f, err := b.Create(path)
	require.NoError(t, err)
	_, err = io.WriteString(f, text)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

func content(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

func TestBatch(t *testing.T) {
	dir := t.TempDir()
	a, legend := filepath.Join(dir, "a.png"), filepath.Join(dir, "a.json")
	for _, text := range []string{"first", "second"} {
		var b Batch
		fill(t, &b, a, text)
		fill(t, &b, legend, text)
		require.NoError(t, b.Commit())
		b.Abort()
		require.Equal(t, text, content(t, a))
		require.Equal(t, text, content(t, legend))
	}

	var b Batch
	fill(t, &b, a, "third")
	fill(t, &b, legend, "third")
	b.Abort()
	require.Equal(t, "second", content(t, a))
	require.Equal(t, "second", content(t, legend))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 2)
}

// A writer that forgets an error of one file commits none.
func TestBatchRemembersErrors(t *testing.T) {
	dir := t.TempDir()
	var b Batch
	fill(t, &b, filepath.Join(dir, "a"), "a")
	full := errors.New("no space")
	b.parts[0].err = full
	require.ErrorIs(t, b.Commit(), full)
	b.Abort()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries)
}

// If a batch is interrupted while files are replaced, the file that vouches for them is absent.
func TestBatchNeverVouchesForOldFiles(t *testing.T) {
	dir := t.TempDir()
	a, legend := filepath.Join(dir, "a.png"), filepath.Join(dir, "a.json")
	var b Batch
	fill(t, &b, a, "old")
	fill(t, &b, legend, "old")
	require.NoError(t, b.Commit())
	fill(t, &b, a, "new")
	fill(t, &b, legend, "new")
	require.NoError(t, os.Remove(partName(legend))) // the last rename fails
	require.Error(t, b.Commit())
	require.NoFileExists(t, legend)
	require.Equal(t, "new", content(t, a))
	b.Abort()
}

func TestLockFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	lock, err := LockFolder(dir)
	require.NoError(t, err)
	_, err = LockFolder(dir)
	require.ErrorIs(t, err, ErrBusy)
	require.NoError(t, put(filepath.Join(dir, "file"), "x"))
	require.NoError(t, lock.Close())
	lock, err = LockFolder(dir)
	require.NoError(t, err)
	require.NoError(t, lock.Close())
	require.Equal(t, "x", only(t, filepath.Join(dir, "file")), "a lock leaves nothing behind")
	_, err = LockFolder(filepath.Join(dir, "file", "below"))
	require.Error(t, err)
}
