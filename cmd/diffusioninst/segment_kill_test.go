//go:build cgo && linux

package main

import (
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/internal/atomicfile"
	"github.com/diffusioninst/go/internal/proctest"
)

// asChild returns the program as a process of its own.
func asChild(t *testing.T, args ...string) *exec.Cmd {
	cmd := proctest.Command(t, os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1", asKilled+"=1")
	return cmd
}

// rounds returns how often a test with chance in it is repeated.
func rounds(t *testing.T, few int) int {
	if n, err := strconv.Atoi(os.Getenv("DIFFUSIONINST_ROUNDS")); err == nil {
		return n
	}
	if testing.Short() {
		t.Skip("starts many processes")
	}
	return few
}

// tree returns the content of all files in a folder, but what a killed process was writing.
func tree(t *testing.T, folder string) map[string]string {
	t.Helper()
	out := map[string]string{}
	require.NoError(t, filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, atomicfile.Suffix) {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(folder, path)
		out[name] = string(text)
		return err
	}))
	return out
}

// manyPictures writes pictures in folders below a folder.
func manyPictures(t *testing.T, n int) string {
	folder := t.TempDir()
	for i := range n {
		savePNG(t, filepath.Join(folder, string(rune('a'+i%3)), strconv.Itoa(i)+".png"), uint64(i))
	}
	return folder
}

// perFolder is how many kills a run is given before it must end with the files of one that was
// not killed; later kills would find everything done.
const perFolder = 4

// A run that is killed at random moments, again and again, ends with the files of one that was not.
func TestSegmentSurvivesKills(t *testing.T) {
	kills := rounds(t, 2)
	pictures, whole, killed := manyPictures(t, 12), t.TempDir(), t.TempDir()
	args := slices.Concat([]string{"segment", pictures, "--threads", "1", "--format", "overlay,results,coco,labelme,labelmap,masks"}, miniModel())
	begin := time.Now()
	proctest.Run(t, asChild(t, append(args, "--output", whole)...))
	took := time.Since(begin)
	want := tree(t, whole)
	finish := func() {
		proctest.Run(t, asChild(t, append(args, "--output", killed, "--resume")...))
		require.Equal(t, want, tree(t, killed))
	}
	for i := range kills {
		if i > 0 && i%perFolder == 0 {
			finish()
			killed = t.TempDir()
		}
		child := proctest.Start(t, asChild(t, append(args, "--output", killed, "--resume")...))
		time.Sleep(time.Duration(rand.Int64N(int64(took))))
		child.Kill()
		for name, text := range tree(t, killed) {
			require.Contains(t, want, name)
			if !slices.Contains([]string{"results.json", "coco.json", segmentJournalName}, name) {
				require.Equal(t, want[name], text, name)
			}
		}
	}
	finish()
}

// A picture that was replaced while it was segmented is not what its record would say.
func TestJournalForgetsPicturesThatChange(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "a.png")
	savePNG(t, path, 1)
	in := segmentInput{path: path, name: "a.png"}
	j, err := openSegmentJournal(folder, map[string]string{}, false)
	require.NoError(t, err)
	picture := &coco.LabeledImage{FileName: "a.png", Width: 1, Height: 1}
	stamp := in.stamp(t.Context())
	savePNG(t, path, 2)
	require.NoError(t, os.Chtimes(path, time.Time{}, time.Now().Add(time.Hour)))
	require.NoError(t, j.add(t.Context(), in, stamp, picture))
	require.NoError(t, j.close())
	j, err = openSegmentJournal(folder, map[string]string{}, true)
	require.NoError(t, err)
	require.Nil(t, j.find(t.Context(), in))
	require.NoError(t, j.add(t.Context(), in, in.stamp(t.Context()), picture))
	require.NoError(t, j.close())
	j, err = openSegmentJournal(folder, map[string]string{}, true)
	require.NoError(t, err)
	require.NotNil(t, j.find(t.Context(), in))
	_, err = openSegmentJournal(folder, map[string]string{}, true)
	require.ErrorIs(t, err, atomicfile.ErrBusy)
	require.NoError(t, j.close())
	j, err = openSegmentJournal(folder, map[string]string{}, false)
	require.NoError(t, err)
	require.Nil(t, j.find(t.Context(), in))
	require.NoError(t, j.close())
}

func TestNumbersThatNoMachineHas(t *testing.T) {
	_, err := program(t, append([]string{"segment", manyPictures(t, 1), "--output", t.TempDir(), "--threads", "2147483647"}, miniModel()...)...)
	require.ErrorContains(t, err, "--threads 2147483647: at most 1024")
	_, err = program(t, append(tinyRun(t, ""), "--out", t.TempDir(), "--steps", "9223372036854775807")...)
	require.ErrorContains(t, err, "--steps 9223372036854775807: at most 1000000000")
}
