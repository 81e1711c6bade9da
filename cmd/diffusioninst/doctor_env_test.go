package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/libtorchenv"
	"github.com/diffusioninst/go/internal/proctest"
)

// runCommand executes the command and returns what it printed on standard output.
func runCommand(t *testing.T, cmd *cobra.Command, args ...string) (string, error) {
	t.Helper()
	var out, diagnostics bytes.Buffer
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(&diagnostics)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func TestEnvWithoutLibTorch(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("LIBTORCH", dir)
	out, err := runCommand(t, newEnvCommand())
	require.ErrorContains(t, err, dir)
	require.ErrorContains(t, err, "diffusioninst doctor")
	require.Empty(t, out, "nothing for a shell to evaluate")
}

// A shell that evaluates the lines has the very values that JSON gives.
func TestEnvForTheShell(t *testing.T) {
	if _, err := libtorchenv.FromEnvironment().Find(t.Context()); errors.Is(err, libtorchenv.ErrNotFound) {
		t.Skip("no LibTorch here")
	}
	lines, err := runCommand(t, newEnvCommand())
	require.NoError(t, err)
	text, err := runCommand(t, newEnvCommand(), "--json")
	require.NoError(t, err)
	var want struct {
		Root, Version string
		CXXFlags      string `json:"CGO_CXXFLAGS"`
		LDFlags       string `json:"CGO_LDFLAGS"`
	}
	require.NoError(t, json.Unmarshal([]byte(text), &want))
	require.NotEmpty(t, want.Version)
	require.DirExists(t, want.Root)

	got, err := proctest.Command(t, "sh", "-euc", lines+`printf '%s\n%s' "$CGO_CXXFLAGS" "$CGO_LDFLAGS"`).Output()
	require.NoError(t, err)
	require.Equal(t, want.CXXFlags+"\n"+want.LDFlags, string(got))
}

// The folder leads every library that is left out to the one without symbols.
func TestEnvLean(t *testing.T) {
	in, err := libtorchenv.FromEnvironment().Find(t.Context())
	if err != nil {
		t.Skip("no LibTorch here")
	}
	unused, err := in.Unused(t.Context())
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "lean")
	text, err := runCommand(t, newEnvCommand(), "--lean", dir, "--json")
	require.NoError(t, err)
	var got struct {
		GoFlags string `json:"GOFLAGS"`
		Unused  []string
	}
	require.NoError(t, json.Unmarshal([]byte(text), &got))
	require.ElementsMatch(t, unused, got.Unused)
	if len(unused) == 0 {
		require.NoDirExists(t, dir)
		return
	}
	require.Contains(t, got.GoFlags, "-rpath,"+dir)
	for _, name := range unused {
		require.FileExists(t, filepath.Join(dir, name))
	}
}

// unmeasured leaves out the speed, which takes a while.
func unmeasured(t *testing.T) {
	check := speedCheck
	speedCheck = nil
	t.Cleanup(func() { speedCheck = check })
}

func TestDoctorNamesWhatIsMissing(t *testing.T) {
	unmeasured(t)
	dir := t.TempDir()
	t.Setenv("LIBTORCH", dir)
	out, err := runCommand(t, newDoctorCommand(), "--json")
	require.ErrorIs(t, err, errUnfit)
	var d diagnosis
	require.NoError(t, json.Unmarshal([]byte(out), &d))
	require.False(t, d.OK)
	require.Nil(t, d.LibTorch)
	for _, c := range d.Checks {
		if c.Name == "LibTorch" {
			require.Equal(t, libtorchenv.Missing, c.State)
			require.Contains(t, c.Detail, dir)
			require.NotEmpty(t, c.Fix)
			return
		}
	}
	t.Fatal("no line about LibTorch")
}

func TestDoctorRunsTheLiveCheck(t *testing.T) {
	unmeasured(t)
	defer func(check func() (string, error)) { liveCheck = check }(liveCheck)

	liveCheck = func() (string, error) { return "2×2 product on the CPU", nil }
	out, _ := runCommand(t, newDoctorCommand())
	require.Regexp(t, `(?m)^ok +this program +2×2 product on the CPU$`, out)

	liveCheck = func() (string, error) { return "", errors.New("illegal instruction") }
	out, err := runCommand(t, newDoctorCommand())
	require.ErrorIs(t, err, errUnfit)
	require.Regexp(t, `(?m)^missing +this program +.*illegal instruction\n +fix: `, out)

	liveCheck = nil
	out, _ = runCommand(t, newDoctorCommand())
	require.Regexp(t, `(?m)^warning +this program +built without LibTorch`, out)
}

// The program that finds LibTorch must build without it.
func TestBuildsWithoutCgo(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles")
	}
	program := filepath.Join(t.TempDir(), "diffusioninst")
	build := proctest.Command(t, "go", "build", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	proctest.Run(t, build)

	doctor := proctest.Command(t, program, "doctor")
	doctor.Env = append(os.Environ(), "LIBTORCH="+t.TempDir())
	text, err := doctor.Output()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, 1, exit.ExitCode())
	require.Contains(t, string(text), "built without LibTorch")
}
