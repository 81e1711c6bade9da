//go:build cgo && linux

package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/atomicfile"
	"github.com/diffusioninst/go/internal/proctest"
)

// fileLimit is the most bytes that a child may write into a file: as if the disk was full then.
const fileLimit = "DIFFUSIONINST_TEST_FILE_LIMIT"

func limitFiles() {
	if n, err := strconv.ParseUint(os.Getenv(fileLimit), 10, 64); err == nil {
		_ = syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: n, Max: n})
	}
}

// onFullDisk runs the program, which must fail for lack of space, and returns what it printed.
func onFullDisk(t *testing.T, limit int, args ...string) string {
	t.Helper()
	cmd := asChild(t, args...)
	cmd.Env = append(cmd.Env, fileLimit+"="+strconv.Itoa(limit))
	child := proctest.Start(t, cmd)
	require.Equal(t, 1, child.Wait(), child.Output())
	require.Contains(t, child.Output(), "file too large")
	return child.Output()
}

func noParts(t *testing.T, folder string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(folder, "*"+atomicfile.Suffix))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestConvertOnAFullDisk(t *testing.T) {
	truth := simulatedSet(t, "--count", "4", "--seed", "9")
	for _, form := range []string{"coco", "labelme", "labelmap", "masks"} {
		folder := t.TempDir()
		output := folder
		if form == "coco" {
			output = filepath.Join(folder, "old.json")
		}
		_, err := program(t, "convert", "--to", form, simulatedSet(t, "--count", "4"), output)
		require.NoError(t, err)
		before := tree(t, folder)
		onFullDisk(t, 100, "convert", "--to", form, truth, output)
		require.Equal(t, before, tree(t, folder), form)
		noParts(t, folder)
	}
}

// A full disk in the middle of a folder leaves what is finished, and the rest can be done later.
func TestSegmentOnAFullDisk(t *testing.T) {
	pictures, whole, out := manyPictures(t, 6), t.TempDir(), t.TempDir()
	_, err := program(t, "data", "simulate", pictures, "--count", "1", "--width", "500", "--height", "400", "--nuclei", "--labelme")
	require.NoError(t, err)
	require.NoError(t, os.Rename(filepath.Join(pictures, "0001.png"), filepath.Join(pictures, "b", "large.png")))
	args := append([]string{"segment", pictures, "--limit", "2"}, miniModel()...)
	_, err = program(t, append(args, "--output", whole)...)
	require.NoError(t, err)
	want := tree(t, whole)
	limit := len(want["overlay/b/large.png"]) - 1
	for name, text := range want {
		require.True(t, len(text) < limit || name == "overlay/b/large.png", "%s: %d bytes", name, len(text))
	}
	text := onFullDisk(t, limit, append(args, "--output", out)...)
	require.Contains(t, text, "stopped after 4 of 7 pictures: the same command with --resume continues")
	wholeFiles(t, out)
	require.Contains(t, tree(t, out), "results.json")
	noParts(t, filepath.Join(out, "overlay", "b"))
	text, err = program(t, append(args, "--output", out, "--resume")...)
	require.NoError(t, err)
	require.Equal(t, 4, strings.Count(text, "earlier"))
	require.Equal(t, want, tree(t, out))
}

// A full disk in the middle of training leaves the last checkpoint, from which it continues.
func TestTrainOnAFullDisk(t *testing.T) {
	out := t.TempDir()
	args := append(tinyRun(t, ""), "--val", "", "--save-every", "1", "--out", out)
	proctest.Run(t, asChild(t, append(args, "--steps", "2")...))
	before := tree(t, out)
	onFullDisk(t, len(before["last.safetensors"])/2, append(args, "--steps", "4", "--resume")...)
	after := tree(t, out)
	for _, name := range []string{"last.safetensors", "model.safetensors", "model.pth"} {
		require.True(t, before[name] == after[name], name)
	}
	noParts(t, out)
	proctest.Run(t, asChild(t, append(args, "--steps", "4", "--resume")...))
	require.NotEqual(t, before["model.pth"], tree(t, out)["model.pth"])
}
