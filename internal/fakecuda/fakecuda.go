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
	return dir
}

// Compile runs g++ in a folder. The test is skipped if there is no g++.
func Compile(t testing.TB, dir string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath("g++"); err != nil {
		t.Skip("needs g++, which is not installed")
	}
	cmd := proctest.Command(t, "g++", append([]string{"-w"}, args...)...)
	cmd.Dir = dir
	proctest.Run(t, cmd)
}

// Build compiles the fake GPU into a folder and returns the environment of programs that find it. It
// skips the test with other releases of LibTorch than that which it was written for.
func Build(t testing.TB) []string {
	t.Helper()
	if !strings.HasPrefix(torch.Version(), "1.13.") {
		t.Skipf("the fake GPU is for LibTorch 1.13, not %s", torch.Version())
	}
	dir := Sources(t)
	Compile(t, dir, "-std=c++17", "-O1", "-shared", "-fPIC", "-o", "libcuda.so.1", "driver.cc", "-ldl")
	args := append([]string{"-std=c++20", "-O0", "-shared", "-fPIC", "-o", "libfakecuda.so"}, strings.Fields(os.Getenv("CGO_CXXFLAGS"))...)
	args = append(append(args, "backend.cc"), strings.Fields(os.Getenv("CGO_LDFLAGS"))...)
	Compile(t, dir, append(args, "-ltorch_cpu", "-lc10")...)
	// As the driver compiles kernels: g++ then reads the header, and what it includes, once.
	Compile(t, dir, "-std=c++17", "-O1", "-fPIC", "-fvisibility=hidden", "-fno-gnu-unique", "-x", "c++-header", "cuda_host.h")
	if err := os.Symlink("libcuda.so.1", filepath.Join(dir, "libcaffe2_nvrtc.so")); err != nil {
		t.Fatal(err)
	}
	return []string{
		inside + "=1", "LD_PRELOAD=" + filepath.Join(dir, "libfakecuda.so"), "LD_LIBRARY_PATH=" + dir + ":" + os.Getenv("LD_LIBRARY_PATH"),
		"FAKE_CUDA_LOG=" + filepath.Join(dir, "log"), "DIFFUSIONINST_KERNELS=" + filepath.Join(dir, "kernels"),
	}
}

// BuildNCCL compiles the fake NCCL beside the fake GPU of an environment of Build, with further options of the compiler.
func BuildNCCL(t testing.TB, env []string, options ...string) {
	t.Helper()
	dir, _, _ := strings.Cut(value(env, "LD_LIBRARY_PATH"), ":")
	Compile(t, dir, append([]string{"-std=c++17", "-O1", "-shared", "-fPIC", "-pthread", "-o", "libnccl.so.2", "nccl.cc", "-ldl"}, options...)...)
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
