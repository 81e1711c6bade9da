package libtorchenv

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCheckBLAS(t *testing.T) {
	linuxOnly(t)
	t.Setenv("LD_LIBRARY_PATH", "") // which the loader, and so the check, asks first
	in := func(needs string) *Installation {
		lib := t.TempDir()
		write(t, filepath.Join(lib, "libtorch_cpu.so"), sharedLibrary(newSymbol, needs))
		return &Installation{Lib: lib}
	}
	blas := func(in *Installation, path string) *Installation {
		target := write(t, filepath.Join(in.Lib, path), "")
		require.NoError(t, os.Symlink(target, filepath.Join(in.Lib, "libblas.so.3")))
		return in
	}

	require.Equal(t, OK, checkBLAS(in("libc.so.6")).State, "a wheel has it built in")
	require.Equal(t, OK, checkBLAS(in("libopenblas.so.0")).State)
	require.Equal(t, OK, checkBLAS(blas(in("libblas.so.3"), "openblas-pthread/libblas.so.3")).State)

	c := checkBLAS(blas(in("libblas.so.3"), "blas/libblas.so.3"))
	require.Equal(t, Warning, c.State)
	require.Contains(t, c.Detail, "reference BLAS")
	require.Regexp(t, "(?i)openblas", c.Fix)

	reference := blas(in("libblas.so.3"), "blas/libblas.so.3")
	write(t, filepath.Join(reference.Lib, "openblas-pthread", "libblas.so.3"), "")
	require.Contains(t, checkBLAS(reference).Fix, "update-alternatives --set", "OpenBLAS is there but not chosen")

	require.Equal(t, Warning, checkBLAS(&Installation{Lib: t.TempDir()}).State)

	// What LD_LIBRARY_PATH names is loaded, whatever else is there.
	fast := blas(in("libblas.so.3"), "openblas-openmp/libblas.so.3")
	t.Setenv("LD_LIBRARY_PATH", t.TempDir()+":"+fast.Lib)
	c = checkBLAS(reference)
	require.Equal(t, OK, c.State)
	require.Contains(t, c.Detail, filepath.Join("openblas-openmp", "libblas.so.3"))
	t.Setenv("LD_LIBRARY_PATH", reference.Lib)
	require.Equal(t, Warning, checkBLAS(fast).State)
}

func TestCheckFlags(t *testing.T) {
	debian := &Installation{Root: "/usr", Include: "/usr/include", Lib: "/usr/lib/x86_64-linux-gnu"}
	folder := &Installation{Root: "/t", Include: "/t/include", Lib: "/t/lib"}
	for name, test := range map[string]struct {
		in      *Installation
		cxx, ld string
		want    State
	}{
		"Debian, nothing set":        {debian, "", "", OK},
		"Debian, another's flags":    {debian, "-I/t/include", "-L/t/lib", Warning},
		"a folder, nothing set":      {folder, "", "", Warning},
		"a folder, its flags":        {folder, "-O2 -I/t/include", "-L/t/lib", OK},
		"a folder, half of them":     {folder, "-O2 -I/t/include", "", Warning},
		"a folder, another's folder": {folder, "-I/u/include", "-L/u/lib", Warning},
	} {
		t.Run(name, func(t *testing.T) {
			c := checkFlags(test.in, test.cxx, test.ld)
			require.Equal(t, test.want, c.State)
			require.Equal(t, test.want != OK, c.Fix != "")
		})
	}
}

func TestCheckTools(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("PATH", bin)
	t.Setenv("CXX", "")
	require.Equal(t, Missing, checkGo(t.Context()).State)
	require.Equal(t, Missing, checkCompiler(t.Context()).State)

	write(t, filepath.Join(bin, "go"), "#!/bin/sh\nif [ $1 = env ]; then echo \"$CXX\"; else echo go version go1.26.3 linux/amd64; fi\n")
	require.Equal(t, Check{Name: "Go", State: OK, Detail: "1.26.3"}, checkGo(t.Context()))
	write(t, filepath.Join(bin, "go"), "#!/bin/sh\nif [ $1 = env ]; then echo \"$CXX\"; else echo go version go1.19.8 linux/amd64; fi\n")
	require.Equal(t, Missing, checkGo(t.Context()).State)

	write(t, filepath.Join(bin, "g++"), "#!/bin/sh\ncase $1 in --version) echo 'g++ 7.5'; echo more;; *) exit 1;; esac\n")
	c := checkCompiler(t.Context())
	require.Equal(t, Missing, c.State)
	require.Contains(t, c.Detail, "g++ 7.5, which cannot compile C++20")
	write(t, filepath.Join(bin, "g++"), "#!/bin/sh\necho 'g++ 12.2'\n")
	require.Equal(t, Check{Name: "C++ compiler", State: OK, Detail: "g++ 12.2"}, checkCompiler(t.Context()))

	t.Setenv("CXX", "ccache clang++")
	require.Contains(t, checkCompiler(t.Context()).Detail, "no ccache clang++")
}

func TestCheckGPU(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("PATH", bin+":/usr/bin:/bin")
	write(t, filepath.Join(bin, "nvidia-smi"), "#!/bin/sh\necho 'NVIDIA H100, 81559 MiB, 550.54'\necho 'NVIDIA H100, 81559 MiB, 550.54'\n")
	c := checkGPU(t.Context(), &Installation{CUDA: true})
	require.Equal(t, Check{
		Name: "GPU", State: OK,
		Detail: "NVIDIA H100, 81559 MiB, driver 550.54; NVIDIA H100, 81559 MiB, driver 550.54",
	}, c)
	require.Equal(t, Warning, checkGPU(t.Context(), &Installation{}).State, "a GPU that LibTorch cannot use")
}

func TestDiagnose(t *testing.T) {
	linuxOnly(t)
	checks, in := Diagnose(t.Context(), Finder{})
	require.Nil(t, in)
	require.Equal(t, Missing, checks[2].State)
	require.NotEmpty(t, checks[2].Fix)

	root := tree(t, t.TempDir(), "lib", newSymbol)
	checks, in = Diagnose(t.Context(), Finder{System: []string{root}})
	require.Equal(t, root, in.Root)
	names := map[string]bool{}
	for _, c := range checks {
		require.NotEmpty(t, c.Detail, c.Name)
		require.False(t, names[c.Name], c.Name)
		names[c.Name] = true
	}
	require.Equal(t, "LibTorch", checks[2].Name)
	require.Equal(t, OK, checks[2].State)
	require.Contains(t, checks[2].Detail, "2.6.1, without CUDA, in "+root)
}
