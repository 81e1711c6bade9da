package libtorchenv

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
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

// A library that says itself where to look is not led elsewhere.
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

// A version of a symbol counts, not its name alone: libversions has the one that LibTorch takes, and libfirst, which is
// searched before, another.
func TestUnusedKnowsVersions(t *testing.T) {
	in, compile := lean(t)
	versions := func(name, version, source string, needs ...string) {
		script := write(t, filepath.Join(in.Lib, name+".map"), version+" { global: versioned; };\n")
		compile("lib"+name+".so", source, append([]string{"-shared", "-fPIC", "-Wl,-soname,lib" + name + ".so", "-Wl,--version-script," + script}, needs...)...)
	}
	versions("versions", "V2", `extern "C" int versioned() { return 2; }`, "-lshared")
	compile("libtorch_cpu.so", `extern "C" int versioned(); int torch() { return versioned(); }`, "-shared", "-fPIC", "-Wl,-soname,libtorch_cpu.so",
		"-lused", "-lheavy", "-lversions")
	versions("used", "V1", `extern "C" int versioned() { return 1; }`)
	names, err := in.Unused(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"libheavy.so"}, names)
}

// A program starts without what nothing uses; one that uses it itself says so, and does not begin.
func TestStandIns(t *testing.T) {
	in, compile := lean(t)
	dir := filepath.Join(t.TempDir(), "lean")
	require.NoError(t, standIns(t.Context(), dir, []string{"libheavy.so", "libold.so"}))
	mine := write(t, filepath.Join(dir, "mine.so"), "mine")
	write(t, filepath.Join(dir, standIn), "") // broken
	require.NoError(t, standIns(t.Context(), dir, []string{"libheavy.so"}))
	require.NoFileExists(t, filepath.Join(dir, "libold.so"), "which is no longer one of them")
	require.FileExists(t, mine)

	goflags, _, err := goFlags(t.Context(), dir)
	require.NoError(t, err)
	_, flags, _ := strings.Cut(goflags, "-ldflags=-extldflags=")
	compile("program", "int torch(); int main() { return torch() - 1; }", "-ltorch", "-ltorch_cpu", flags)
	program := filepath.Join(in.Lib, "program")
	proctest.Run(t, proctest.Command(t, program))
	loads, err := proctest.Command(t, "ldd", program).Output()
	require.NoError(t, err)
	require.NotContains(t, string(loads), "libdeep.so")
	require.Contains(t, string(loads), "libused.so")

	// Flags of the program's own link it against the real library.
	compile("user", "#include <cstdio>\nint torch(); int heavy(); int main() { std::puts(\"begins\"); return torch() - heavy(); }",
		"-ltorch", "-ltorch_cpu", "-lheavy", "-Wl,-rpath-link,"+in.Lib, flags)
	text, err := proctest.Command(t, filepath.Join(in.Lib, "user")).CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(text), "undefined symbol")
	require.NotContains(t, string(text), "begins")
}

func TestTwoMakeStandIns(t *testing.T) {
	linuxOnly(t)
	if _, err := exec.LookPath("g++"); err != nil {
		t.Skip("no g++")
	}
	dir := t.TempDir()
	var old []string
	for i := range 200 {
		old = append(old, fmt.Sprintf("libold%d.so", i))
	}
	require.NoError(t, standIns(t.Context(), dir, old))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { assert.NoError(t, standIns(t.Context(), dir, []string{"libnew.so"})) })
	}
	wg.Wait()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 3, "the library, its name, .gitignore")
}

func TestStandInsRefuses(t *testing.T) {
	linuxOnly(t)
	if _, err := exec.LookPath("g++"); err != nil {
		t.Skip("no g++")
	}
	dir := t.TempDir()
	mine := write(t, filepath.Join(dir, "libheavy.so"), "mine")
	require.ErrorContains(t, standIns(t.Context(), dir, []string{"libheavy.so"}), mine)
	text, err := os.ReadFile(mine)
	require.NoError(t, err)
	require.Equal(t, "mine", string(text))

	t.Setenv("CXX", "false")
	require.ErrorContains(t, standIns(t.Context(), t.TempDir(), []string{"libheavy.so"}), "false -shared")
}

func TestGoFlags(t *testing.T) {
	for name, test := range map[string]struct {
		before, dir, want string
		changed           bool
	}{
		"added":              {"-mod=mod", "/a", "-mod=mod " + linkerFlags + "/a", true},
		"the last one stays": {linkerFlags + "/a -mod=mod", "/b", "-mod=mod " + linkerFlags + "/b", true},
		"there already":      {"-mod=mod " + linkerFlags + "/a", "/a", "-mod=mod " + linkerFlags + "/a", false},
		"removed":            {linkerFlags + "/a", "", "", true},
		"of no use":          {"-mod=mod", "", "-mod=mod", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("GOFLAGS", test.before)
			got, changed, err := goFlags(t.Context(), test.dir)
			require.NoError(t, err)
			require.Equal(t, test.want, got)
			require.Equal(t, test.changed, changed)
		})
	}
	t.Setenv("GOFLAGS", "-ldflags=-s")
	_, _, err := goFlags(t.Context(), "/a")
	require.ErrorContains(t, err, "-ldflags=-s")
	for _, dir := range []string{"/a b", "/a,b", "/a:b", "/a'b", "/a\u3000b", "/a\rb", "/$a"} {
		_, _, err := goFlags(t.Context(), dir)
		require.ErrorContains(t, err, dir)
	}
}
