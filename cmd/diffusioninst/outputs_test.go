//go:build cgo && linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/internal/proctest"
)

// writingCommands returns the arguments of the commands that write, with their output at OUT, and
// whether that is a folder.
func writingCommands(t *testing.T) map[string]struct {
	args   []string
	folder bool
} {
	truth := simulatedSet(t, "--count", "2")
	pictures := filepath.Dir(truth)
	model := append([]string{"--gt", truth, "--images", pictures}, miniModel()...)
	return map[string]struct {
		args   []string
		folder bool
	}{
		"segment":  {append([]string{"segment", pictures, "--output", "OUT"}, miniModel()...), true},
		"trace":    {append([]string{"segment", pictures, "--output", t.TempDir(), "--trace", "OUT"}, miniModel()...), true},
		"test":     {append([]string{"test", "--dets", "OUT"}, model...), false},
		"plots":    {append([]string{"test", "--plots", "OUT"}, model...), true},
		"sweep":    {append([]string{"sweep", "--out", "OUT"}, model...), true},
		"train":    {append(tinyRun(t, ""), "--out", "OUT", "--steps", "1"), true},
		"export":   {[]string{"export", "--weights", filepath.Join(t.TempDir(), "none.pth"), "--out", "OUT.pth"}, false},
		"eval":     {[]string{"eval", "--gt", truth, "--dets", truth, "--plots", "OUT"}, true},
		"show":     {[]string{"data", "show", truth, "--images", pictures, "--out", "OUT"}, true},
		"simulate": {[]string{"data", "simulate", "OUT", "--count", "2"}, true},
		"convert":  {[]string{"convert", "--to", "masks", truth, "OUT"}, true},
		"to coco":  {[]string{"convert", "--to", "coco", truth, "OUT"}, false},
	}
}

func to(out string, args []string) []string {
	all := slices.Clone(args)
	for i := range all {
		all[i] = strings.ReplaceAll(all[i], "OUT", out)
	}
	return all
}

// Outputs that cannot be written are refused before a model is loaded, in words.
func TestOutputsThatCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, []byte("x"), 0o666))
	for name, c := range writingCommands(t) {
		for _, out := range []string{filepath.Join(file, "below"), filepath.Join(dir, strings.Repeat("n", 4000))} {
			_, stderr, err := runProgram(nil, to(out, c.args)...)
			require.ErrorContains(t, err, "atomicfile: cannot write", name)
			require.Less(t, len(err.Error()), 1000, name)
			require.NotContains(t, stderr, "random", name)
		}
	}
	require.Equal(t, map[string]string{"file": "x"}, tree(t, dir))

	require.NoError(t, os.MkdirAll(filepath.Join(dir, "out", "results.json"), 0o777))
	_, stderr, err := runProgram(nil, to(filepath.Join(dir, "out"), writingCommands(t)["segment"].args)...)
	require.ErrorContains(t, err, "results.json: it is a folder")
	require.NotContains(t, stderr, "random")
}

// Nor is anything read for a folder without write permission.
func TestReadOnlyFolders(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o555))
	for name, c := range writingCommands(t) {
		out := filepath.Join(dir, "out")
		if c.folder {
			out = dir
		}
		child := proctest.Start(t, unprivileged(asChild(t, to(out, c.args)...)))
		require.Equal(t, 1, child.Wait(), child.Output())
		require.Contains(t, child.Output(), "permission denied", name)
		require.NotContains(t, child.Output(), "random", name)
	}
	require.Empty(t, tree(t, dir))
}

// unprivileged lets a child of root run as nobody, whom permissions bind.
func unprivileged(cmd *exec.Cmd) *exec.Cmd {
	if os.Geteuid() == 0 {
		cmd.Path = "/proc/self/exe" // the test program may lie in a folder of root's own
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
	}
	return cmd
}

// A folder that a process is writing is refused by others until that process ends, however.
func TestTwoProcessesOnOneFolder(t *testing.T) {
	out := t.TempDir()
	locks, err := lockOutputs(out, "", out)
	require.NoError(t, err)
	for name, c := range writingCommands(t) {
		if !c.folder {
			continue
		}
		_, _, err := runProgram(nil, to(out, c.args)...)
		require.ErrorContains(t, err, "another process or goroutine is writing it", name)
	}
	require.Empty(t, tree(t, out))
	require.NoError(t, locks.Close())

	segmentOf := func(picture string) []string {
		return append([]string{"segment", picture, "--output", out}, miniModel()...)
	}
	cmd := asChild(t, segmentOf("-")...)
	_, err = cmd.StdinPipe() // which blocks
	require.NoError(t, err)
	child := proctest.Start(t, cmd)
	child.WaitFor(t, "random")
	picture := filepath.Join(t.TempDir(), "a.png")
	savePNG(t, picture, 1)
	_, err = program(t, segmentOf(picture)...)
	require.ErrorContains(t, err, "another process")
	child.Kill()
	_, err = program(t, segmentOf(picture)...)
	require.NoError(t, err)
}

func loadSet(t *testing.T, file string) *coco.Dataset {
	t.Helper()
	set, err := coco.Load(file)
	require.NoError(t, err)
	return set
}

// Names of pictures that would leave the output folder, or confuse a terminal, do neither.
func TestHostileNames(t *testing.T) {
	long := strings.Repeat("l", 4000)
	names := []string{"a\nb.png", "\x1b[31mred.png", "..png", "-rf.png", "ü  .png", "a.json.png", "sub/../b.png", strings.Repeat("x", 240) + ".png"}
	refused := []string{"../outside.png", "/etc/passwd", long + ".png", "nul\x00.png", "", "..", "."}
	file := simulatedSet(t, "--count", "1")
	folder := filepath.Dir(file)
	drawn, err := os.ReadFile(filepath.Join(folder, "0001.png"))
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(filepath.Join(folder, "sub"), 0o777))
	for _, name := range names {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), drawn, 0o666))
	}
	outside := t.TempDir()
	for _, name := range append(slices.Clone(names), refused...) {
		set := loadSet(t, file)
		set.Images[0].FileName = name
		truth := filepath.Join(t.TempDir(), "truth.json")
		require.NoError(t, set.Save(truth))
		stdout, err := program(t, "data", "show", truth, "--images", folder, "--out", filepath.Join(outside, "out"))
		require.Equal(t, slices.Contains(refused, name), err != nil, "%q: %v", name, err)
		require.NotContains(t, strings.TrimSuffix(stdout, "\n"), "\n")
		require.NotContains(t, stdout, "\x1b")
		_, err = program(t, "convert", "--to", "labelme", truth, filepath.Join(outside, "out", "labelme"))
		require.Equal(t, len(name) > 255 || strings.Contains(name, "\x00"), err != nil, "%q: %v", name, err)
	}
	stdout, stderr, err := segment(nil, folder, "--output", filepath.Join(outside, "out"), "--format", "labelme,masks,labelmap,overlay")
	require.NoError(t, err, stderr)
	require.NotContains(t, stdout+stderr, "\x1b")
	entries, err := os.ReadDir(outside)
	require.NoError(t, err)
	require.Len(t, entries, 1, "nothing but the folder of the output")
}
