package libtorchenv

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/proctest"
)

// lean builds a LibTorch of small libraries:
//
//	libtorch_cpu needs libused (a symbol), libheavy (nothing), libalone (nothing) and libtwo (nothing)
//	libheavy needs libdeep; libtwo needs libshared, whose symbol libused takes without listing it
func lean(t *testing.T) (in *Installation, compile func(out, source string, args ...string)) {
	t.Helper()
	linuxOnly(t)
	for _, tool := range []string{"g++", "ldd", "go"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("no " + tool)
		}
	}
	dir := t.TempDir()
	t.Setenv("LD_LIBRARY_PATH", dir)
	compile = func(out, source string, args ...string) {
		t.Helper()
		path := write(t, filepath.Join(dir, out+".cc"), source)
		proctest.Run(t, proctest.Command(t, "g++", append([]string{"-o", filepath.Join(dir, out), path, "-L" + dir, "-Wl,--no-as-needed"}, args...)...))
	}
	shared := func(name, source string, needs ...string) {
		args := []string{"-shared", "-fPIC", "-Wl,-soname,lib" + name + ".so"}
		for _, n := range needs {
			args = append(args, "-l"+n)
		}
		compile("lib"+name+".so", source, args...)
	}
	shared("deep", "int deep() { return 1; }")
	shared("heavy", "int heavy() { return 1; }", "deep")
	shared("alone", "int alone() { return 1; }")
	shared("shared", "int shared() { return 1; }")
	shared("two", "int two() { return 1; }", "shared")
	shared("used", "int shared(); int used() { return shared(); }")
	shared("torch_cpu", "int used(); int torch() { return used(); }", "used", "heavy", "alone", "two")
	shared("torch", "", "torch_cpu")
	return &Installation{Lib: dir}, compile
}

func TestUnused(t *testing.T) {
	in, _ := lean(t)
	names, err := in.Unused(t.Context())
	require.NoError(t, err)
	// libalone brings nothing along, and libtwo a library whose symbol another takes.
	require.Equal(t, []string{"libheavy.so"}, names)
}

// The loader is not asked by a library that has places of its own to look in.
func TestUnusedOfALibraryWithARunPath(t *testing.T) {
	in, compile := lean(t)
	compile("libtorch_cpu.so", "int used(); int torch() { return used(); }", "-shared", "-fPIC", "-Wl,-soname,libtorch_cpu.so",
		"-lused", "-lheavy", "-lalone", "-ltwo", "-Wl,-rpath,$ORIGIN")
	names, err := in.Unused(t.Context())
	require.NoError(t, err)
	require.Empty(t, names)
}

func TestUnusedSaysWhatIsMissing(t *testing.T) {
	in, _ := lean(t)
	require.NoError(t, os.Remove(filepath.Join(in.Lib, "libdeep.so")))
	_, err := in.Unused(t.Context())
	require.ErrorContains(t, err, "libdeep.so is not found")
}

// A program starts without what nothing uses; one that uses it says so.
func TestStandIns(t *testing.T) {
	in, compile := lean(t)
	t.Setenv("GOFLAGS", "-mod=mod")
	dir := filepath.Join(t.TempDir(), "lean")
	_, err := StandIns(t.Context(), dir, []string{"libheavy.so", "libold.so"})
	require.NoError(t, err)
	goflags, err := StandIns(t.Context(), dir, []string{"libheavy.so"})
	require.NoError(t, err)
	require.NoFileExists(t, filepath.Join(dir, "libold.so"), "which is no longer one of them")
	own, flags, _ := strings.Cut(goflags, " ")
	require.Equal(t, "-mod=mod", own)
	t.Setenv("GOFLAGS", goflags)
	other := t.TempDir()
	again, err := StandIns(t.Context(), other, []string{"libheavy.so"})
	require.NoError(t, err)
	require.Equal(t, strings.Replace(goflags, dir, other, 1), again, "the last folder counts")

	linker := strings.TrimPrefix(flags, "-ldflags=-extldflags=")
	compile("program", "int torch(); int main() { return torch() - 1; }", "-ltorch", "-ltorch_cpu", linker)
	program := filepath.Join(in.Lib, "program")
	proctest.Run(t, proctest.Command(t, program))
	loads, err := proctest.Command(t, "ldd", program).Output()
	require.NoError(t, err)
	require.NotContains(t, string(loads), "libdeep.so")
	require.Contains(t, string(loads), "libused.so")

	compile("user", "int torch(); int heavy(); int main() { return torch() - heavy(); }", "-ltorch", "-ltorch_cpu", "-lheavy", linker)
	text, err := proctest.Command(t, filepath.Join(in.Lib, "user")).CombinedOutput()
	require.Error(t, err, "a program that uses the library itself")
	require.Contains(t, string(text), "undefined symbol")
}

func TestStandInsRefuses(t *testing.T) {
	linuxOnly(t)
	if _, err := exec.LookPath("g++"); err != nil {
		t.Skip("no g++")
	}
	dir := t.TempDir()
	_, err := StandIns(t.Context(), filepath.Join(dir, "a b"), nil)
	require.ErrorContains(t, err, "a b")
	require.NoDirExists(t, filepath.Join(dir, "a b"))

	mine := write(t, filepath.Join(dir, "libheavy.so"), "mine")
	_, err = StandIns(t.Context(), dir, []string{"libheavy.so"})
	require.ErrorContains(t, err, mine)
	text, err := os.ReadFile(mine)
	require.NoError(t, err)
	require.Equal(t, "mine", string(text))

	t.Setenv("GOFLAGS", "-ldflags=-s")
	_, err = StandIns(t.Context(), t.TempDir(), []string{"libheavy.so"})
	require.ErrorContains(t, err, "-ldflags=-s")

	t.Setenv("CXX", "false")
	_, err = StandIns(t.Context(), t.TempDir(), []string{"libheavy.so"})
	require.ErrorContains(t, err, "false -shared")
}
