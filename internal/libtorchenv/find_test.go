package libtorchenv

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/diffusioninst/go/internal/proctest"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

func linuxOnly(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the trees are Linux's")
	}
}

func TestInspect(t *testing.T) {
	linuxOnly(t)
	tests := map[string]struct {
		lib, symbol string
		files       map[string]string
		want        Installation
	}{
		"unzipped": {
			lib: "lib", symbol: oldSymbol,
			files: map[string]string{"build-version": "2.1.0+cu121\n", "lib/libtorch_cuda.so": ""},
			want:  Installation{Lib: "lib", Version: "2.1.0+cu121", OldStrings: true, CUDA: true},
		},
		"torch package": {
			lib: "lib", symbol: newSymbol,
			files: map[string]string{"version.py": "from typing import Optional\n\n__version__ = '2.11.0+cpu'\ncuda: Optional[str] = None\n"},
			want:  Installation{Lib: "lib", Version: "2.11.0+cpu"},
		},
		"lib64": {
			lib: "lib64", symbol: newSymbol,
			want: Installation{Lib: "lib64", Version: "2.6.1"},
		},
		"version in the header of 2.8 and later": {
			lib: "lib", symbol: newSymbol,
			files: map[string]string{
				"include/" + versionHeader: "#pragma once\n#include <torch/headeronly/version.h>\n",
				"include/torch/headeronly/version.h": "#define TORCH_VERSION_MAJOR 2\n#define TORCH_VERSION_MINOR 14\n" +
					"#define TORCH_VERSION_PATCH 1\n#define TORCH_VERSION_ABI_TAG 0\n",
			},
			want: Installation{Lib: "lib", Version: "2.14.1"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			root := tree(t, t.TempDir(), test.lib, test.symbol)
			for path, text := range test.files {
				write(t, filepath.Join(root, path), text)
			}
			got, err := Inspect(root)
			require.NoError(t, err)
			test.want.Root = root
			test.want.Include = filepath.Join(root, "include")
			test.want.Lib = filepath.Join(root, test.want.Lib)
			require.Empty(t, cmp.Diff(&test.want, got))
		})
	}
}

func TestInspectRefuses(t *testing.T) {
	linuxOnly(t)
	tests := map[string]struct {
		spoil func(root string)
		want  string
	}{
		"no headers":   {func(r string) { os.RemoveAll(r + "/include") }, "has no include/"},
		"no libraries": {func(r string) { os.Remove(r + "/lib/libtorch.so") }, "but no libtorch.so"},
		"too old":      {func(r string) { os.WriteFile(r+"/build-version", []byte("1.12.1"), 0o644) }, "1.13 or newer"},
		"no version":   {func(r string) { os.WriteFile(r+"/include/"+versionHeader, nil, 0o644) }, "names no LibTorch version"},
		"cut library":  {func(r string) { os.Truncate(r+"/lib/libc10.so", 30) }, "is not a shared library"},
		"no symbols":   {func(r string) { os.WriteFile(r+"/lib/libc10.so", []byte("text"), 0o644) }, "is not a shared library"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			root := tree(t, t.TempDir(), "lib", newSymbol)
			test.spoil(root)
			_, err := Inspect(root)
			require.ErrorContains(t, err, test.want)
			require.ErrorContains(t, err, root)
		})
	}
}

// The compiler itself shows whether the string layouts are told apart.
func TestOldStringsOfRealLibraries(t *testing.T) {
	linuxOnly(t)
	if _, err := exec.LookPath("g++"); err != nil {
		t.Skip("no g++")
	}
	dir := t.TempDir()
	source := write(t, filepath.Join(dir, "c10.cc"),
		"#include <string>\nnamespace c10 { std::string what(std::string s) { return s; } void plain(int) {} }\n")
	for abi, want := range map[string]bool{"0": true, "1": false} {
		lib := filepath.Join(dir, "libc10-"+abi+".so")
		proctest.Run(t, proctest.Command(t, "g++", "-shared", "-fPIC", "-D_GLIBCXX_USE_CXX11_ABI="+abi, "-o", lib, source))
		got, err := oldStrings(lib)
		require.NoError(t, err)
		require.Equal(t, want, got, "_GLIBCXX_USE_CXX11_ABI=%s", abi)
	}
}

func TestFindOrder(t *testing.T) {
	linuxOnly(t)
	empty := t.TempDir()
	named := tree(t, filepath.Join(t.TempDir(), "libtorch"), "lib", newSymbol)
	packaged := tree(t, filepath.Join(t.TempDir(), "site-packages", "torch"), "lib", newSymbol)
	system := tree(t, filepath.Join(t.TempDir(), "usr"), "lib", newSymbol)

	tests := map[string]struct {
		finder Finder
		root   string
		source Source
	}{
		"LIBTORCH first":           {Finder{Libtorch: named, Python: []string{python(t, packaged)}, System: []string{system}}, named, FromLibtorch},
		"then Python":              {Finder{Python: []string{python(t, packaged)}, System: []string{system}}, packaged, FromPython},
		"the next Python":          {Finder{Python: []string{"/no/such/python", python(t, ""), python(t, packaged)}}, packaged, FromPython},
		"Python without headers":   {Finder{Python: []string{python(t, empty)}, System: []string{system}}, system, FromSystem},
		"the system last":          {Finder{System: []string{empty, system}}, system, FromSystem},
		"an interpreter that dies": {Finder{Python: []string{"false"}, System: []string{system}}, system, FromSystem},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			in, err := test.finder.Find(t.Context())
			require.NoError(t, err)
			require.Equal(t, test.root, in.Root)
			require.Equal(t, test.source, in.Source)
		})
	}
}

func TestFindErrors(t *testing.T) {
	linuxOnly(t)
	empty := t.TempDir()
	system := tree(t, t.TempDir(), "lib", newSymbol)

	_, err := Finder{System: []string{empty}}.Find(t.Context())
	require.ErrorIs(t, err, ErrNotFound)

	_, err = Finder{Libtorch: empty, System: []string{system}}.Find(t.Context())
	require.ErrorContains(t, err, "LIBTORCH: "+empty, "a wrong LIBTORCH is an error, not a hint")

	_, err = Finder{Python: []string{python(t, empty)}}.Find(t.Context())
	require.ErrorIs(t, err, ErrNotFound)
	require.ErrorContains(t, err, empty, "it says why the package that is there does not do")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Finder{Python: []string{python(t, system)}}.Find(ctx)
	require.ErrorIs(t, err, context.Canceled)
}

func TestFindCUDA(t *testing.T) {
	linuxOnly(t)
	site := filepath.Join(t.TempDir(), "site-packages")
	root := tree(t, filepath.Join(site, "torch"), "lib", newSymbol)
	write(t, filepath.Join(root, "lib", "libtorch_cuda.so"), "")
	write(t, filepath.Join(site, "nvidia", "cublas", "lib", "libcublas.so.12"), "")
	header := write(t, filepath.Join(site, "nvidia", "cuda_runtime", "include", "cuda_runtime_api.h"), "")
	toolkit := t.TempDir()
	write(t, filepath.Join(toolkit, "include", "cuda_runtime_api.h"), "")
	write(t, filepath.Join(toolkit, "lib64", "libcudart.so"), "")

	in, err := Finder{Libtorch: root}.Find(t.Context())
	require.NoError(t, err)
	require.True(t, in.CUDA)
	require.Equal(t, filepath.Dir(header), in.CUDAInclude, "the wheel's own headers")
	require.Equal(t, []string{filepath.Join(site, "nvidia", "cublas", "lib")}, in.CUDALibs)

	in, err = Finder{Libtorch: root, CUDA: []string{"/no/such/cuda", toolkit}}.Find(t.Context())
	require.NoError(t, err)
	require.Equal(t, filepath.Join(toolkit, "include"), in.CUDAInclude, "a toolkit goes first")
	require.Equal(t, []string{filepath.Join(site, "nvidia", "cublas", "lib"), filepath.Join(toolkit, "lib64")}, in.CUDALibs)
}

func TestAtLeast(t *testing.T) {
	for _, test := range []struct {
		version, min string
		want         bool
	}{
		{"1.13.1", "1.13", true}, {"1.13", "1.13", true}, {"1.9.0", "1.13", false}, {"2.14.1+dfsg", "1.13", true},
		{"1.26.0", "1.26", true}, {"1.26rc1", "1.26", true}, {"1.21.3", "1.26", false}, {"devel", "1.26", false}, {"", "1", false},
	} {
		require.Equal(t, test.want, atLeast(test.version, test.min), "%s ≥ %s", test.version, test.min)
	}
}
