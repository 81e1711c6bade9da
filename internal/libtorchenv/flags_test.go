package libtorchenv

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/diffusioninst/go/internal/proctest"
	"github.com/stretchr/testify/require"
)

func TestFlags(t *testing.T) {
	linuxOnly(t)
	tests := map[string]struct {
		in      Installation
		cxx, ld string
	}{
		"Debian's package": {
			Installation{Root: "/usr", Include: "/usr/include", Lib: "/usr/lib/x86_64-linux-gnu"},
			"-O2 -g", "-O2 -g",
		},
		"a folder": {
			Installation{Root: "/opt/libtorch", Include: "/opt/libtorch/include", Lib: "/opt/libtorch/lib"},
			"-O2 -g -I/opt/libtorch/include -I/opt/libtorch/include/torch/csrc/api/include -D_GLIBCXX_USE_CXX11_ABI=1",
			"-O2 -g -L/opt/libtorch/lib -Wl,-rpath,/opt/libtorch/lib",
		},
		"CUDA, old strings": {
			Installation{
				Root: "/t", Include: "/t/include", Lib: "/t/lib", OldStrings: true,
				CUDA: true, CUDAInclude: "/cuda/include", CUDALibs: []string{"/nvidia/cublas/lib"},
			},
			"-O2 -g -I/t/include -I/t/include/torch/csrc/api/include -I/cuda/include -D_GLIBCXX_USE_CXX11_ABI=0",
			"-O2 -g -L/t/lib -Wl,-rpath,/t/lib -Wl,-rpath-link,/nvidia/cublas/lib -Wl,-rpath,/nvidia/cublas/lib",
		},
		"blanks": {
			Installation{Root: "/a b", Include: "/a b/include", Lib: "/a b/lib"},
			"-O2 -g '-I/a b/include' '-I/a b/include/torch/csrc/api/include' -D_GLIBCXX_USE_CXX11_ABI=1",
			"-O2 -g '-L/a b/lib' '-Wl,-rpath,/a b/lib'",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			cxx, ld, err := test.in.Flags().Environment()
			require.NoError(t, err)
			require.Equal(t, test.cxx, cxx)
			require.Equal(t, test.ld, ld)
		})
	}
	for _, root := range []string{`/both'"quotes`, "/a,b"} {
		_, _, err := (&Installation{Root: root, Include: root, Lib: root}).Flags().Environment()
		require.ErrorContains(t, err, root)
	}
}

// The flags go through cgo, compiler and linker, from a folder with a blank in its name.
func TestFlagsBuild(t *testing.T) {
	linuxOnly(t)
	if testing.Short() {
		t.Skip("compiles")
	}
	if _, err := exec.LookPath("g++"); err != nil {
		t.Skip("no g++")
	}
	dir := t.TempDir()
	root := filepath.Join(dir, "lib torch")
	write(t, filepath.Join(root, "include", "answer.h"), "int answer(void);\n")
	source := write(t, filepath.Join(dir, "answer.cc"), "extern \"C\" int answer() { return 42; }\n")
	lib := filepath.Join(root, "lib")
	require.NoError(t, os.MkdirAll(lib, 0o755))
	proctest.Run(t, proctest.Command(t, "g++", "-shared", "-fPIC", "-o", filepath.Join(lib, "libanswer.so"), source))

	program := filepath.Join(dir, "program")
	write(t, filepath.Join(program, "go.mod"), "module answer\n\ngo 1.26\n")
	write(t, filepath.Join(program, "ask.cc"), "extern \"C\" {\n#include <answer.h>\nint ask() { return answer(); }\n}\n")
	write(t, filepath.Join(program, "main.go"), "package main\n\n// #cgo LDFLAGS: -lanswer\n// int ask(void);\nimport \"C\"\n\nfunc main() { println(int(C.ask())) }\n")
	cxx, ld, err := (&Installation{Root: root, Include: filepath.Join(root, "include"), Lib: lib}).Flags().Environment()
	require.NoError(t, err)
	cmd := proctest.Command(t, "go", "run", ".")
	cmd.Dir = program
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1", "CGO_CXXFLAGS="+cxx, "CGO_LDFLAGS="+ld)
	require.Equal(t, "42\n", string(proctest.Run(t, cmd)))
}

func TestShellQuote(t *testing.T) {
	for _, s := range []string{"", "plain", "a b", "it's", `"$HOME" \n`, "'-I/a b' -lx"} {
		out, err := proctest.Command(t, "sh", "-c", "printf %s "+ShellQuote(s)).Output()
		require.NoError(t, err)
		require.Equal(t, s, string(out))
	}
}
