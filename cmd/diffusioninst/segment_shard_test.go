//go:build cgo && linux

package main

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/proctest"
)

// pictureList writes pictures, of which one is broken and one missing, and a list of them.
func pictureList(t *testing.T, n int) string {
	folder := manyPictures(t, n)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "a", "broken.png"), []byte("nothing"), 0o666))
	list := filepath.Join(folder, "list.txt")
	lines := []string{folder, filepath.Join(folder, "b", "missing.png")}
	require.NoError(t, os.WriteFile(list, []byte(strings.Join(lines, "\n")), 0o666))
	return list
}

// Shards, merged, are the run without shards, whatever their number and however often a worker
// is killed.
func TestShardsMerge(t *testing.T) {
	list := pictureList(t, 5)
	formats := "results,coco,measurements,labelmap"
	args := func(more ...string) []string {
		return slices.Concat([]string{"segment", "--list", list, "--format", formats, "--threads", "1"}, miniModel(), more)
	}
	whole := t.TempDir()
	_, err := program(t, args("--output", whole)...)
	require.EqualError(t, err, "2 of 7 pictures could not be segmented")
	want := tree(t, whole)

	kills := rounds(t, 2)
	limit := crashLimit
	crashLimit = math.MaxInt
	t.Cleanup(func() { crashLimit = limit })
	for _, n := range []int{3, 9} {
		out := t.TempDir()
		for k := range kills / 2 {
			shard := fmt.Sprintf("%d/%d", k%n, n)
			child := proctest.Start(t, asChild(t, args("--output", out, "--shard", shard)...))
			time.Sleep(time.Duration(rand.Int64N(int64(2 * time.Second))))
			child.Kill()
		}
		_, err := program(t, "results", "merge", out)
		require.ErrorContains(t, err, "shards")
		for i := range n {
			stdout, err := program(t, args("--output", out, "--shard", fmt.Sprintf("%d/%d", i, n), "--accept-failures")...)
			require.NoError(t, err)
			require.Contains(t, stdout, shard{i, n}.folder())
		}
		stdout, err := program(t, args("--output", out, "--shard", fmt.Sprintf("0/%d", n))...)
		require.NoError(t, err)
		require.Contains(t, stdout, fmt.Sprintf("shard 0/%d is finished", n))
		merged := t.TempDir()
		stdout, err = program(t, "results", "merge", out, "--output", merged)
		require.NoError(t, err)
		require.Contains(t, stdout, "of 5 pictures merged")
		require.Contains(t, stdout, "2 pictures could not be segmented")
		require.Contains(t, stdout, "measurements/, labelmap/: these files stay in the folders of the shards")
		got := tree(t, merged)
		require.Contains(t, got[failedName], "missing.png")
		require.Contains(t, got[failedName], "broken.png")
		require.Contains(t, got[failedName], `"image_id": 7`)
		for _, name := range []string{"results.json", "coco.json", "measurements/" + summaryName} {
			require.Equal(t, want[name], got[name], name)
		}
		shards := tree(t, out)
		for name, text := range want {
			if strings.HasPrefix(name, "labelmap/") {
				found := 0
				for i := range n {
					if shards[filepath.Join(shard{i, n}.folder(), name)] == text {
						found++
					}
				}
				require.Equal(t, 1, found, name)
			}
		}
	}
	for flag, say := range map[string]string{"--trace": "cannot go with --shard", "--gt": "cannot go with --shard"} {
		_, err := program(t, args("--output", t.TempDir(), "--shard", "0/3", flag, list)...)
		require.ErrorContains(t, err, say)
	}
	same := filepath.Join(t.TempDir(), "list.txt")
	require.NoError(t, os.WriteFile(same, []byte("x/a.png\nx/a.jpg\n"), 0o666))
	_, err = program(t, args("--output", t.TempDir(), "--shard", "0/2", "--list", same)...)
	require.ErrorContains(t, err, "x/a.png and x/a.jpg would be written to the same file of --format measurements")
	_, err = program(t, args("--output", t.TempDir(), "a.png")...)
	require.ErrorContains(t, err, "takes the place of arguments")
	_, err = program(t, append(args("--output", "-", "--shard", "0/3"), "--format", "results")...)
	require.ErrorContains(t, err, "--shard needs a folder")
}

// A shard that another process has finished since the first look is finished, whether its folder was renamed before or after
// this process has made and locked one.
func TestShardFinishedMeanwhile(t *testing.T) {
	out := t.TempDir()
	r := &shardRun{shard: shard{0, 1}, path: filepath.Join(out, shard{0, 1}.folder())}
	r.partial = r.path + partialEnding
	r.Flags = map[string]string{"list": "a"}
	var said bytes.Buffer
	done, err := r.finishedMeanwhile(&said)
	require.NoError(t, err)
	require.False(t, done)
	require.NoError(t, os.Mkdir(r.path, 0o777))
	require.NoError(t, writeJSON(filepath.Join(r.path, shardName), r.shardInfo))
	for _, locked := range []bool{false, true} {
		if locked {
			require.NoError(t, os.Mkdir(r.partial, 0o777))
		}
		said.Reset()
		done, err := r.finishedMeanwhile(&said)
		require.NoError(t, err)
		require.True(t, done)
		require.Equal(t, "shard 0/1 is finished: "+r.path+"\n", said.String())
		require.NoDirExists(t, r.partial)
	}
	r.Flags["list"] = "b"
	_, err = r.finishedMeanwhile(&said)
	require.ErrorContains(t, err, "was made with other settings, list (a, now b)")
}
