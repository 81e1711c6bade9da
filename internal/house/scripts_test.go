package house

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/diffusioninst/go/internal/proctest"
	"github.com/stretchr/testify/require"
)

// setup runs scripts/setup with programs only from the folder bin.
func setup(t *testing.T, bin string) (string, int) {
	t.Helper()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash")
	}
	cmd := proctest.Command(t, bash, "../../scripts/setup")
	cmd.Env = []string{
		// The user's own home: go leaves a process behind that writes below it after the test has ended.
		"PATH=" + bin, "HOME=" + os.Getenv("HOME"), "GOTOOLCHAIN=local",
		"LIBTORCH=" + os.Getenv("LIBTORCH"), "CGO_CXXFLAGS=" + os.Getenv("CGO_CXXFLAGS"),
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		require.IsType(t, &exec.ExitError{}, err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// binaries is a folder with links to some of this machine's programs.
func binaries(t *testing.T, names ...string) string {
	t.Helper()
	bin := t.TempDir()
	for _, name := range names {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Skip("no " + name)
		}
		require.NoError(t, os.Symlink(path, filepath.Join(bin, name)))
	}
	return bin
}

func TestSetupSaysWhatIsMissing(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the tools are Linux's")
	}
	tools := []string{"bash", "cat", "head", "id", "readlink", "sort"}

	out, status := setup(t, binaries(t, tools...))
	require.Equal(t, 1, status, out)
	require.Contains(t, out, "Install Go")

	out, status = setup(t, binaries(t, append(tools, "go")...))
	require.Equal(t, 1, status, out)
	require.Contains(t, out, "Missing here: g++")
	require.Contains(t, out, "This machine has no apt")
	require.Contains(t, out, "diffusioninst doctor")

	bin := binaries(t, append(tools, "go")...)
	for name, text := range map[string]string{"apt-get": "echo apt-get was called; exit 1", "id": "echo 1000"} {
		path := filepath.Join(bin, name)
		os.Remove(path)
		require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755))
	}
	out, status = setup(t, bin)
	require.Equal(t, 1, status, out)
	require.Contains(t, out, "apt-get install --no-install-recommends g++", "no root and no sudo: the command to type")
	require.NotContains(t, out, "apt-get was called")
}

func TestSetupIsQuietWhenAllIsThere(t *testing.T) {
	if _, err := exec.LookPath("g++"); err != nil || runtime.GOOS != "linux" {
		t.Skip("not set up")
	}
	if _, err := os.Stat("/usr/include/torch/csrc/api/include/torch/version.h"); err != nil {
		t.Skip("LibTorch is not the system's")
	}
	out, status := setup(t, os.Getenv("PATH"))
	require.Zero(t, status, out)
	require.Empty(t, out)
}
