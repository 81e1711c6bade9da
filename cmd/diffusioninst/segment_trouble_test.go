//go:build cgo

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func withoutPauses(t *testing.T) {
	before := firstPause
	firstPause = time.Millisecond
	t.Cleanup(func() { firstPause = before })
}

// shardRunner serves two pictures, which answer may refuse, and returns what segments them as one shard into a folder.
func shardRunner(t *testing.T, answer func(w http.ResponseWriter, r *http.Request) (handled bool)) (run func(args ...string) (stdout, stderr string, err error), out string) {
	withoutPauses(t)
	folder := t.TempDir()
	for i := range 2 {
		savePNG(t, filepath.Join(folder, fmt.Sprintf("%d.png", i)), uint64(i))
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if answer(w, r) {
			return
		}
		text, err := os.ReadFile(filepath.Join(folder, r.URL.Path))
		if err != nil {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(text) // neither ETag nor Last-Modified
	}))
	t.Cleanup(server.Close)
	list := filepath.Join(folder, "list.txt")
	require.NoError(t, os.WriteFile(list, []byte(server.URL+"/0.png\n"+server.URL+"/none.png\n"+server.URL+"/1.png\n"), 0o666))
	out = filepath.Join(t.TempDir(), "out")
	return func(args ...string) (string, string, error) {
		return segment(nil, append([]string{"--format", "results", "--list", list, "--shard", "0/1", "--output", out}, args...)...)
	}, out
}

// A shard of pictures that nothing tells from others later is finished and merged. Each is fetched once, and nothing else is asked.
func TestShardOfAddressesWithoutStamps(t *testing.T) {
	var asked atomic.Int64
	run, out := shardRunner(t, func(w http.ResponseWriter, r *http.Request) bool {
		asked.Add(1)
		if r.Method == http.MethodHead {
			w.WriteHeader(http.StatusForbidden) // as for addresses that are signed for GET
		}
		return r.Method == http.MethodHead
	})
	stdout, _, err := run()
	require.NoError(t, err)
	require.Contains(t, stdout, "shard 0/1 written")
	require.EqualValues(t, 3, asked.Load())
	stdout, err = program(t, "results", "merge", out)
	require.NoError(t, err)
	require.Contains(t, stdout, "of 2 pictures merged")
	require.Contains(t, stdout, "1 picture could not be segmented")
}

// What is not a picture's fault leaves its shard unfinished, and is tried again; a finished shard is of its list and settings.
func TestShardWaitsForServers(t *testing.T) {
	var down atomic.Bool
	down.Store(true)
	run, out := shardRunner(t, func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/1.png" && down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}
		return false
	})
	for range crashLimit + 1 { // which are no ends of the program
		_, stderr, err := run()
		require.ErrorContains(t, err, "shard 0/1 is not finished: 1 picture failed because of a server")
		require.Contains(t, stderr, "/1.png: the server says 503 Service Unavailable")
	}
	_, err := program(t, "results", "merge", out)
	require.ErrorContains(t, err, "0 (begun)")
	down.Store(false)
	stdout, stderr, err := run()
	require.NoError(t, err)
	require.Contains(t, stdout, "1 picture could not be segmented")
	require.Contains(t, stderr, "404")
	stdout, _, err = run()
	require.NoError(t, err)
	require.Contains(t, stdout, "is finished")
	for flag, say := range map[string]string{"--seed=7": "seed (0, now 7)", "--format=coco": "formats (results, now results,coco)", "--shard=0/2": "holds shard-00000-of-00001"} {
		_, _, err = run(flag)
		require.ErrorContains(t, err, say)
	}

	require.NoError(t, os.RemoveAll(out))
	down.Store(true)
	stdout, _, err = run("--accept-failures")
	require.NoError(t, err)
	require.Contains(t, stdout, "2 pictures could not be segmented")
	_, err = program(t, "segment", "a.png", "--accept-failures", "--weights", "untrained")
	require.ErrorContains(t, err, "--accept-failures is for --shard")
}

// An address whose query is not shown is named by its line.
func TestFailedAddressesHaveLines(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	dir, out := t.TempDir(), t.TempDir()
	savePNG(t, filepath.Join(dir, "a.png"), 1)
	list := filepath.Join(dir, "list.txt")
	require.NoError(t, os.WriteFile(list, []byte("\n"+dir+"/a.png\n\n"+server.URL+"/b.png?token=secret\n"+server.URL+"/c.png"), 0o666))
	_, stderr, err := segment(nil, "--format", "results", "--list", list, "--output", out, "--shard", "0/1")
	require.NoError(t, err)
	require.Contains(t, stderr, "Error: --list, line 4: "+server.URL+"/b.png: the server says 404 Not Found")
	require.Contains(t, stderr, "Error: "+server.URL+"/c.png: the server says 404")
	info, err := readShard(filepath.Join(out, shard{0, 1}.folder()))
	require.NoError(t, err)
	require.Len(t, info.Failed, 2)
	require.Contains(t, info.Failed[0].Error, "--list, line 4: ")
	require.NotContains(t, stderr+info.Failed[0].Path, "secret")
}

// A shard that another version of the program continues says so, and so does its merge. Journals of earlier versions, which
// do not name the program, are continued, too.
func TestShardOfSeveralPrograms(t *testing.T) {
	for name, edit := range map[string]func(journal string) string{
		"another": func(s string) string { return strings.Replace(s, programName(), "diffusioninst v0.0.1", 1) },
		"earlier": func(s string) string { return strings.Replace(s, `,"program":"`+programName()+`"`, "", 1) },
	} {
		t.Run(name, func(t *testing.T) {
			var down atomic.Bool
			down.Store(true)
			run, out := shardRunner(t, func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == "/1.png" && down.Load() {
					w.WriteHeader(http.StatusUnauthorized)
					return true
				}
				return false
			})
			_, stderr, err := run()
			require.ErrorContains(t, err, "is not finished")
			require.NotContains(t, stderr, "different programs")
			path := filepath.Join(out, shard{0, 1}.folder()+partialEnding, segmentJournalName)
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NotEqual(t, string(text), edit(string(text)))
			require.NoError(t, os.WriteFile(path, []byte(edit(string(text))), 0o666))
			down.Store(false)
			_, stderr, err = run()
			require.NoError(t, err)
			say := "pictures were segmented by different programs"
			require.Contains(t, stderr, say)
			_, stderr, err = runProgram(nil, "results", "merge", out)
			require.NoError(t, err)
			require.Contains(t, stderr, say)
		})
	}
}

// A folder for temporary files that is missing is no fault of the pictures that would be fetched into it.
func TestFetchedWithoutTemporaryFolder(t *testing.T) {
	run, out := shardRunner(t, func(http.ResponseWriter, *http.Request) bool { return false })
	local := filepath.Join(t.TempDir(), "local.png")
	savePNG(t, local, 1)
	list := filepath.Join(t.TempDir(), "list.txt")
	t.Setenv("TMPDIR", filepath.Join(out, "none"))
	_, stderr, err := run()
	require.ErrorContains(t, err, "shard 0/1 is not finished: 3 pictures failed because of a server, a store, a disk or a device")
	require.Contains(t, stderr, "/0.png: to be fetched into a temporary file (TMPDIR): ")
	require.NoError(t, os.WriteFile(list, []byte(local), 0o666))
	_, _, err = run("--list", list, "--output", filepath.Join(out, "local"))
	require.NoError(t, err)
}

// While a picture is fetched and read its file has no name, so that a kill leaves none.
func TestFetchedFilesHaveNoNames(t *testing.T) {
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		t.Skip(err)
	}
	folder := t.TempDir()
	var names []string
	run, _ := shardRunner(t, func(http.ResponseWriter, *http.Request) bool {
		found, _ := filepath.Glob(filepath.Join(folder, "*"))
		names = append(names, found...)
		return false
	})
	t.Setenv("TMPDIR", folder)
	stdout, _, err := run()
	require.NoError(t, err)
	require.Contains(t, stdout, "1 picture could not be segmented") // none.png
	require.Empty(t, names)
}

// A run ends when nothing works any more, instead of going through a list of failures.
func TestManyTroublesStop(t *testing.T) {
	withoutPauses(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusUnauthorized) }))
	defer server.Close()
	var lines []string
	for i := range 3 * manyTroubles {
		lines = append(lines, fmt.Sprintf("%s/%d.png", server.URL, i))
	}
	list := filepath.Join(t.TempDir(), "list.txt")
	require.NoError(t, os.WriteFile(list, []byte(strings.Join(lines, "\n")), 0o666))
	_, _, err := segment(nil, "--list", list, "--output", t.TempDir())
	require.ErrorContains(t, err, "10 pictures in a row failed for a reason that is not theirs")
	require.ErrorContains(t, err, "stopped after 10 of 30 pictures")
	stdout, _, err := segment(nil, "--list", list, "--output", t.TempDir(), "--shard", "0/1", "--accept-failures")
	require.NoError(t, err)
	require.Contains(t, stdout, "30 pictures could not be segmented")
}

// A shard whose pictures are all missing, such as those of a volume that is not mounted, is tried again.
func TestShardsWithoutPictures(t *testing.T) {
	dir := t.TempDir()
	present := filepath.Join(dir, "a.png")
	savePNG(t, present, 1)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "broken.png"), []byte("no picture"), 0o666))
	for _, test := range []struct{ lines, args, say string }{
		{"unmounted/1.png a.png unmounted/2.png", "", "2 pictures failed because of a server, a store, a disk"},
		{"no*/1.png a.png", "", "1 picture failed because of a server, a store, a disk"},
		{"1.png 2.png", "", "none of 2 pictures could be opened (the first: picture: " + dir + "/1.png: "},
		{"1.png a.png", "", ""},
		{"broken.png", "", ""},
		{"1.png 2.png", "--accept-failures", ""},
		{"unmounted/1.png a.png", "--accept-failures", ""},
	} {
		var lines []string
		for _, line := range strings.Fields(test.lines) {
			lines = append(lines, dir+"/"+line)
		}
		list := filepath.Join(t.TempDir(), "list.txt")
		require.NoError(t, os.WriteFile(list, []byte(strings.Join(lines, "\n")), 0o666))
		args := append([]string{"--format", "results", "--list", list, "--output", t.TempDir(), "--shard", "0/1"}, strings.Fields(test.args)...)
		_, _, err := segment(nil, args...)
		if test.say == "" {
			require.NoError(t, err, test)
			continue
		}
		require.ErrorContains(t, err, "shard 0/1 is not finished: "+test.say)
	}
}

// A picture whose files cannot all be written is in none of the files about all pictures.
func TestFailedPictureHasNoRows(t *testing.T) {
	dir, whole, out := t.TempDir(), t.TempDir(), t.TempDir()
	long := strings.Repeat("x", 251) // whose table has a name that is short enough, and whose preview has none
	savePNG(t, filepath.Join(dir, "a.png"), 1)
	savePNG(t, filepath.Join(dir, long+".png"), 2)
	list := filepath.Join(dir, "list.txt")
	require.NoError(t, os.WriteFile(list, []byte(dir+"/a.png\n"+dir+"/"+long+".png"), 0o666))
	args := []string{"--format", "measurements,labelmap,results,coco", "--list", list}
	_, stderr, err := segment(nil, append(args, "--output", whole)...)
	require.EqualError(t, err, "1 of 2 pictures could not be segmented")
	require.Contains(t, stderr, "file name too long")
	_, _, err = segment(nil, append(args, "--output", out, "--shard", "0/1")...)
	require.NoError(t, err)
	_, err = program(t, "results", "merge", out)
	require.NoError(t, err)
	for _, folder := range []string{whole, out} {
		for _, name := range []string{"measurements/" + summaryName, "coco.json"} {
			text, err := os.ReadFile(filepath.Join(folder, name))
			require.NoError(t, err)
			require.Contains(t, string(text), "a.png")
			require.NotContains(t, string(text), long)
		}
	}
}

func TestPassing(t *testing.T) {
	require.True(t, passing(&fs.PathError{Op: "read", Path: "a", Err: syscall.EIO}))
	require.True(t, passing(fmt.Errorf("a: %w", &passingError{errors.New("b"), false})))
	require.False(t, passing(&fs.PathError{Op: "open", Path: "a", Err: syscall.ENOENT}))
	require.False(t, passing(errors.New("a")))
	calls := 0
	get := lasting(func() (int, error) {
		if calls++; calls == 1 {
			return 0, errors.New("not yet")
		}
		return calls, nil
	})
	_, err := get()
	require.Error(t, err)
	for range 2 {
		n, err := get()
		require.NoError(t, err)
		require.Equal(t, 2, n)
	}
}
