package main

import (
	"debug/elf"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/proctest"
)

func TestWhatAsksForLibTorch(t *testing.T) {
	for line, want := range map[string]bool{
		"segment --weights a.pth b.png": true, "segment --help": false, "help segment": false, "train -h": false, "segment a.png -- -h": true, "train": true, "doctor --json": true,
		"__complete segment --we": false, "__completeNoDesc bench --": false, "seg": false,
		"": false, "--help": false, "--version": false, "help": false, "help info": false, "info builtin:nuclei": false,
		"convert --to labelme segment out": false, "eval": false, "data simulate": false, "completion bash": false,
		"__complete seg": false, "__complete segment": false, "__complete info bui": false, "nonsense": false,
	} {
		require.Equal(t, want, asksForLibTorch(strings.Fields(line)), line)
	}
}

// As make build leaves it: a program without LibTorch, so that it starts at once, starts the one
// beside it for the commands that run a model, and says what is missing if there is none.
func TestCompanion(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("reads an ELF file")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "diffusioninst")
	build := proctest.Command(t, "go", "build", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	file, err := elf.Open(path)
	require.NoError(t, err)
	libraries, err := file.ImportedLibraries()
	require.NoError(t, err)
	require.NoError(t, file.Close())
	require.Empty(t, libraries)

	run := func(args ...string) string {
		out, _ := proctest.Command(t, path, args...).CombinedOutput()
		return string(out)
	}
	require.Contains(t, run("segment", "a.png"), "was built without LibTorch")
	require.Contains(t, run("--help"), "not in this build")

	script := "#!/bin/sh\necho companion $0 \"$@\"\nexit 3\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, companion), []byte(script), 0o755))
	command := proctest.Command(t, path, "segment", "a b.png", "--steps", "4")
	got, err := command.CombinedOutput()
	require.Error(t, err)
	require.Equal(t, 3, command.ProcessState.ExitCode())
	require.Equal(t, "companion "+filepath.Join(dir, companion)+" segment a b.png --steps 4\n", string(got))
	require.NotContains(t, run("--help"), "companion")
	require.NotContains(t, run("--help"), "not in this build")
	require.Contains(t, run("--version"), companion)
	require.Contains(t, run("segment", "--help"), "--weights")
	require.NotContains(t, run("help", "segment"), "companion")
	require.Contains(t, run("__complete", "segment", "--we"), "--weights")
	require.True(t, strings.HasPrefix(run("__complete", "segment", "--weights", "bui"), "builtin:nuclei\n"))
	require.True(t, strings.HasPrefix(run("__complete", "sweep", "--samplers", "ddim,he"), "ddim,heun\n"))
	require.Contains(t, run("info", "builtin:nuclei"), "nucleus")
	require.Equal(t, "builtin:nuclei", strings.Split(run("__complete", "info", "bui"), "\n")[0])
}
