//go:build cgo && linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Pictures whose names are not UTF-8 are known again, each by its own, and are suspects of their own.
func TestNamesThatAreNotUTF8(t *testing.T) {
	folder, out := t.TempDir(), t.TempDir()
	names := []string{"\xe4.png", "\xf6.png", "\uFFFD.png"}
	for i, name := range names {
		savePNG(t, filepath.Join(folder, name), uint64(i))
	}
	run := func() (string, string) {
		stdout, stderr, err := segment(nil, "--format", "results,coco,masks", "--output", out, "--resume", folder)
		require.NoError(t, err)
		return stdout, stderr
	}
	stdout, stderr := run()
	require.NotContains(t, stdout, "earlier")
	require.Contains(t, stderr, `2 pictures with a name that is not UTF-8 (the first: "\xe4.png"): JSON files have`)
	want := tree(t, out)
	require.Contains(t, want, "masks/\xe4.json")
	require.Contains(t, want, "masks/\xf6.json")
	stdout, _ = run()
	require.Equal(t, 3, strings.Count(stdout, "earlier"))
	require.Equal(t, want, tree(t, out))

	list := filepath.Join(t.TempDir(), "list.txt")
	require.NoError(t, os.WriteFile(list, []byte(folder), 0o666))
	out = t.TempDir()
	finished := filepath.Join(out, shard{0, 1}.folder())
	args := []string{"--format", "results", "--output", out, "--list", list, "--shard", "0/1"}
	_, _, err := segment(nil, args...)
	require.NoError(t, err)
	info, err := readShard(finished)
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(finished))
	require.NoError(t, os.Mkdir(finished+partialEnding, 0o777))
	for range crashLimit {
		j, err := openSegmentJournal(finished+partialEnding, info.Settings, true)
		require.NoError(t, err)
		require.NoError(t, j.begins(recordKey(segmentInput{path: filepath.Join(folder, names[0])})))
		require.NoError(t, j.close())
	}
	_, stderr, err = segment(nil, args...)
	require.NoError(t, err)
	require.Contains(t, stderr, "the program ended 3 times while it was segmented")
	info, err = readShard(finished)
	require.NoError(t, err)
	require.Len(t, info.Failed, 1)
}
