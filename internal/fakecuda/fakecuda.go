// Package fakecuda lets tests take the program's branches for GPUs on machines without one: LibTorch finds
// a device cuda:0 whose memory is the host's and whose operators are the CPU's, and this module's kernels
// are compiled by g++ and run on the host. What the host does, in which order and how often it waits is that
// of a GPU; rounding and speed are not.
package fakecuda

import (
	"embed"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/diffusioninst/go/internal/proctest"
	"github.com/diffusioninst/go/torch"
)

//go:embed host
var sources embed.FS

// inside is set in a process of Run.
const inside = "DIFFUSIONINST_FAKE_CUDA"

// Sources writes the C++ files to a new folder.
func Sources(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	writeSources(t, dir)
	return dir
}

func writeSources(t testing.TB, dir string) {
	t.Helper()
	names, err := fs.Glob(sources, "host/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		data, err := sources.ReadFile(name)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, filepath.Base(name)), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Compile runs g++ in a folder. The test is skipped if there is no g++.
func Compile(t testing.TB, dir string, args ...string) {
	t.Helper()
	cmd := proctest.Command(t, compiler(t), append([]string{"-w"}, args...)...)
	cmd.Dir = dir
	proctest.Run(t, cmd)
}

func compiler(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("g++")
	if err != nil {
		t.Skip("needs g++, which is not installed")
	}
	return path
}

// Build compiles the fake GPU and returns the environment of programs that find it, with a folder of their own
// for kernels. It skips the test with other releases of LibTorch than that which it was written for.
func Build(t testing.TB) []string {
	t.Helper()
	if !strings.HasPrefix(torch.Version(), "1.13.") {
		t.Skipf("the fake GPU is for LibTorch 1.13, not %s", torch.Version())
	}
	gpu, own := built(t), t.TempDir()
	return []string{
		inside + "=1", "LD_PRELOAD=" + filepath.Join(gpu, "libfakecuda.so"), "LD_LIBRARY_PATH=" + own + ":" + gpu + ":" + os.Getenv("LD_LIBRARY_PATH"),
		"FAKE_CUDA_LOG=" + filepath.Join(own, "log"), "DIFFUSIONINST_KERNELS=" + filepath.Join(own, "kernels"),
	}
}

// built returns the folder of the compiled fake GPU. It outlasts the test, since compiling takes longer than most tests.
func built(t testing.TB) string {
	t.Helper()
	flags, libraries := strings.Fields(os.Getenv("CGO_CXXFLAGS")), strings.Fields(os.Getenv("CGO_LDFLAGS"))
	key := []string{torch.Version(), string(proctest.Run(t, proctest.Command(t, compiler(t), "-v")))}
	key = append(append(append(key, flags...), "and"), libraries...)
	err := fs.WalkDir(sources, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := sources.ReadFile(path)
		key = append(key, path, string(data))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return kept(t, key, func(dir string) {
		writeSources(t, dir)
		Compile(t, dir, "-std=c++17", "-O1", "-shared", "-fPIC", "-o", "libcuda.so.1", "driver.cc", "-ldl")
		args := append([]string{"-std=c++20", "-O0", "-shared", "-fPIC", "-o", "libfakecuda.so"}, flags...)
		Compile(t, dir, append(append(append(args, "backend.cc"), libraries...), "-ltorch_cpu", "-lc10")...)
		// As the driver compiles kernels: g++ then reads the header, and what it includes, once.
		Compile(t, dir, "-std=c++17", "-O1", "-fPIC", "-fvisibility=hidden", "-fno-gnu-unique", "-x", "c++-header", "cuda_host.h")
		if err := os.Symlink("libcuda.so.1", filepath.Join(dir, "libcaffe2_nvrtc.so")); err != nil {
			t.Fatal(err)
		}
	})
}

// BuildNCCL compiles the fake NCCL beside the fake GPU of an environment of Build, with further options of the compiler.
func BuildNCCL(t testing.TB, env []string, options ...string) {
	t.Helper()
	dir := filepath.Dir(value(env, "FAKE_CUDA_LOG"))
	args := []string{"-std=c++17", "-O1", "-shared", "-fPIC", "-pthread", "-o", filepath.Join(dir, "libnccl.so.2"), "nccl.cc", "-ldl"}
	Compile(t, built(t), append(args, options...)...)
}

// Inside reports whether the process is one of Run, which finds the fake GPU.
func Inside() bool { return os.Getenv(inside) != "" }

// Run runs tests of the calling test's program, named as for go test -run, in a process with the
// environment of Build, and logs what it prints. It skips the test on a machine with a GPU of its own.
func Run(t testing.TB, env []string, tests string) {
	t.Helper()
	if torch.CUDADevices() > 0 {
		t.Skip("this LibTorch has its own GPU")
	}
	cmd := proctest.Command(t, os.Args[0], "-test.run="+tests, "-test.v")
	cmd.Env = append(os.Environ(), env...)
	t.Logf("%s", proctest.Run(t, cmd))
}

// Kernels returns the folder in which the processes of Run keep compiled kernels.
func Kernels(env []string) string { return value(env, "DIFFUSIONINST_KERNELS") }

// Log returns the lines of what the fake driver compiled and launched so far.
func Log(t testing.TB, env []string) []string {
	t.Helper()
	data, err := os.ReadFile(value(env, "FAKE_CUDA_LOG"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(data)), "\n")
}

func value(env []string, name string) string {
	for _, e := range env {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			return v
		}
	}
	return ""
}
