//go:build unix

package atomicfile

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// output writes text to what a user named.
func output(path, text string) error {
	return Output(context.Background(), path, func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	})
}

func TestOutputFollowsLinks(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "folder", "file")
	require.NoError(t, os.Mkdir(filepath.Dir(file), 0o777))
	require.NoError(t, os.Symlink(filepath.Join("folder", "file"), filepath.Join(dir, "a")))
	require.NoError(t, os.Symlink("a", filepath.Join(dir, "b")))
	for _, text := range []string{"into nothing", "again"} {
		require.NoError(t, CheckOutput(filepath.Join(dir, "b")))
		require.NoError(t, output(filepath.Join(dir, "b"), text))
		require.Equal(t, text, only(t, file))
	}
	link, err := os.Readlink(filepath.Join(dir, "b"))
	require.NoError(t, err)
	require.Equal(t, "a", link)

	require.NoError(t, os.Symlink("round", filepath.Join(dir, "round")))
	require.Error(t, output(filepath.Join(dir, "round"), "x"))
}

func TestOutputKeepsPermissions(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.NoError(t, output(file, "secret"))
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

// A hard link is another name of the old content, which stays.
func TestOutputLeavesHardLinks(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	require.NoError(t, os.WriteFile(a, []byte("old"), 0o666))
	require.NoError(t, os.Link(a, b))
	require.NoError(t, output(b, "new"))
	text, err := os.ReadFile(a)
	require.NoError(t, err)
	require.Equal(t, "old", string(text))
}

func TestOutputToStreams(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, unix.Mkfifo(pipe, 0o666))
	require.NoError(t, CheckOutput(pipe), "without a reader")
	got := make(chan string)
	go func() {
		text, _ := os.ReadFile(pipe)
		got <- string(text)
	}()
	require.NoError(t, output(pipe, "through"))
	require.Equal(t, "through", <-got)
	require.NoError(t, output(os.DevNull, "gone"))
	require.NoFileExists(t, os.DevNull+Suffix)
}

// A pipe without a reader, and one whose reader does not read, are waited for until ctx ends.
func TestOutputToPipesThatBlock(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, unix.Mkfifo(pipe, 0o666))
	write := func(w io.Writer) error {
		_, err := io.Copy(w, strings.NewReader(strings.Repeat("more than a pipe holds", 1<<18)))
		return err
	}
	block := func() error {
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(30*time.Millisecond, cancel)
		return Output(ctx, pipe, write)
	}
	require.ErrorIs(t, block(), context.Canceled)
	reader, err := os.OpenFile(pipe, os.O_RDONLY|unix.O_NONBLOCK, 0)
	require.NoError(t, err)
	require.ErrorIs(t, block(), context.Canceled)
	require.NoError(t, reader.Close())

	// What is finished when ctx ends goes to a reader that is there.
	done, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, Output(done, pipe, write), context.Canceled)
	got := make(chan int)
	reader, err = os.OpenFile(pipe, os.O_RDONLY|unix.O_NONBLOCK, 0)
	require.NoError(t, err)
	go func() {
		text, err := io.ReadAll(reader)
		for len(text) == 0 && err == nil { // a pipe that nobody has opened for writing yet is at its end
			time.Sleep(time.Millisecond)
			text, err = io.ReadAll(reader)
		}
		got <- len(text)
	}()
	defer reader.Close() // ends the goroutine if this fails
	require.NoError(t, Output(done, pipe, write))
	require.Equal(t, 22<<18, <-got)
	require.NoError(t, reader.Close())
}

func TestOutputOnAFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err == nil {
		require.ErrorIs(t, output("/dev/full", strings.Repeat("x", 1<<16)), unix.ENOSPC)
	}
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, output(file, "old"))
	err := Output(context.Background(), file, func(w io.Writer) error {
		_, err := io.WriteString(w, "half of the n")
		require.NoError(t, err)
		return unix.ENOSPC
	})
	require.ErrorIs(t, err, unix.ENOSPC)
	require.Equal(t, "old", only(t, file))
}

func TestNames(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{strings.Repeat("a", 255), strings.Repeat("ü", 127), strings.Repeat("b", 250), " ", "-", "a\nb", "x" + Suffix} {
		path := filepath.Join(dir, name)
		require.NoError(t, CheckOutput(path), name)
		require.NoError(t, output(path, name))
		require.Equal(t, name, only(t, path))
		require.NoError(t, os.Remove(path))
	}
	// Names that differ only at the end are written to different files first.
	require.NotEqual(t, partName(strings.Repeat("a", 254)+"b"), partName(strings.Repeat("a", 255)))
	for _, name := range []string{strings.Repeat("a", 256), strings.Repeat("a", 4000), "a\x00b"} {
		path := filepath.Join(dir, name)
		require.Error(t, CheckOutput(path))
		err := output(path, "x")
		require.Error(t, err)
		require.Less(t, len(err.Error()), 600)
	}
}

func TestCheckOutput(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, output(file, "x"))
	require.ErrorContains(t, CheckOutput(dir), "it is a folder")
	require.ErrorIs(t, CheckOutput(filepath.Join(dir, "none", "file")), os.ErrNotExist)
	require.ErrorIs(t, CheckOutput(filepath.Join(file, "file")), unix.ENOTDIR)
	require.NoError(t, CheckOutput(file))
	require.Equal(t, "x", only(t, file), "nothing is written")
}
