package libtorchenv

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// fastBLAS are words in the file names of libraries of fast matrix products.
var fastBLAS = []string{"openblas", "mkl", "blis", "atlas", "flexiblas", "armpl", "accelerate"}

// checkBLAS finds the library of matrix products that LibTorch uses. Debian's LibTorch
// takes whatever libblas.so.3 is, by default the reference BLAS, which is 35 times slower.
func checkBLAS(in *Installation) Check {
	c := Check{Name: "BLAS", State: OK, Detail: "part of LibTorch"}
	libs, err := needed(filepath.Join(in.Lib, library("torch_cpu")))
	if err != nil {
		c.State, c.Detail = Warning, "not known: "+err.Error()
		return c
	}
	for _, lib := range libs {
		if isFast(lib) {
			c.Detail = lib
			return c
		}
		if strings.HasPrefix(lib, "libblas.so") {
			return c.shared(resolve(lib, searchPath(in)))
		}
	}
	return c
}

// shared judges the file that libblas.so.3 is.
func (c Check) shared(path string) Check {
	switch {
	case path == "":
		c.State, c.Detail = Missing, "libblas.so.3 is missing"
		c.Fix = aptFix("libopenblas0-openmp", "install OpenBLAS")
	case isFast(path):
		c.Detail = path
		if strings.Contains(path, "openblas-pthread") && !strings.EqualFold(os.Getenv("OMP_WAIT_POLICY"), "passive") {
			c.Detail += "; faster with OMP_WAIT_POLICY=passive, or with libopenblas0-openmp in its place: its threads and OpenMP's wait for the same cores"
		}
	default:
		c.State = Warning
		c.Detail = fmt.Sprintf("%s is the reference BLAS, about 35 times slower than OpenBLAS", path)
		c.Fix = aptFix("libopenblas0-openmp", "install OpenBLAS as libblas.so.3")
		if others, _ := filepath.Glob(filepath.Join(filepath.Dir(filepath.Dir(path)), "openblas*", "libblas.so.3")); len(others) > 0 {
			c.Fix = "update-alternatives --set libblas.so.3-" + filepath.Base(filepath.Dir(filepath.Dir(path))) + " " + others[0]
		}
	}
	return c
}

func isFast(path string) bool {
	for _, word := range fastBLAS {
		if strings.Contains(strings.ToLower(path), word) {
			return true
		}
	}
	return false
}

// searchPath is where the loader looks for a library, as far as that matters here.
func searchPath(in *Installation) []string {
	dirs := filepath.SplitList(os.Getenv("LD_LIBRARY_PATH"))
	dirs = append(dirs, in.Lib)
	for _, prefix := range []string{"/usr/local", "/usr", "/"} {
		dirs = append(dirs, libDirs(prefix)...)
	}
	return dirs
}

// resolve is the file that a library's name stands for, symbolic links followed.
func resolve(lib string, dirs []string) string {
	for _, dir := range dirs {
		if path, err := filepath.EvalSymlinks(filepath.Join(dir, lib)); err == nil {
			return path
		}
	}
	return ""
}
