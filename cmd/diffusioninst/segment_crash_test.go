//go:build cgo && linux

package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/proctest"
)

// A picture at which the program ends three times is given up, and no other is, whichever of the two was read and which segmented.
func TestPictureThatKills(t *testing.T) {
	folder, out := t.TempDir(), t.TempDir()
	for i := range 4 {
		savePNG(t, filepath.Join(folder, fmt.Sprintf("%d.png", i)), uint64(i))
	}
	started := make(chan *proctest.Child, 1)
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && r.URL.Path == "/2.png" {
			asked.Add(1)
			(<-started).Kill()
			return
		}
		http.ServeFile(w, r, filepath.Join(folder, r.URL.Path))
	}))
	defer server.Close()
	list, text := filepath.Join(folder, "list.txt"), ""
	for i := range 4 {
		text += fmt.Sprintf("%s/%d.png\n", server.URL, i)
	}
	require.NoError(t, os.WriteFile(list, []byte(text), 0o666))
	args := slices.Concat([]string{"segment", "--list", list, "--shard", "0/1", "--output", out, "--format", "results", "--threads", "1"}, miniModel())
	killed := 128 + int(syscall.SIGKILL)
	for _, want := range []int{killed, killed, killed, 0} {
		cmd := proctest.Command(t, os.Args[0], args...)
		cmd.Env = append(os.Environ(), asProgram+"=1")
		child := proctest.Start(t, cmd)
		started <- child
		require.Equal(t, want, child.Wait(), child.Output())
	}
	require.EqualValues(t, 3, asked.Load())
	info, err := readShard(filepath.Join(out, shard{0, 1}.folder()))
	require.NoError(t, err)
	require.Len(t, info.Failed, 1)
	require.EqualValues(t, 3, info.Failed[0].ImageID)
	require.Contains(t, info.Failed[0].Error, "the program ended 3 times while it was segmented")
	stdout, err := program(t, "results", "merge", out)
	require.NoError(t, err)
	require.Contains(t, stdout, "of 3 pictures merged")
}

// A picture that was left, as one that is broken or of a run that was stopped, is no suspect; the journal is as long as before.
func TestJournalOfCrashes(t *testing.T) {
	folder := t.TempDir()
	open := func() *segmentJournal {
		j, err := openSegmentJournal(folder, map[string]string{}, true)
		require.NoError(t, err)
		return j
	}
	j := open()
	require.NoError(t, j.begins("a"))
	require.NoError(t, j.begins("b"))
	size := j.size
	j.leaves("a")
	j.leaves("c")
	require.Equal(t, size, j.size)
	require.NoError(t, j.close())
	for n := range 3 {
		j = open()
		require.Equal(t, map[string]int{"b": 1 + n}, j.crashes)
		require.NoError(t, j.begins("b"))
		require.NoError(t, j.close())
	}
}
