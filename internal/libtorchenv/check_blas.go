package libtorchenv

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// fastBLAS are parts of the file names of BLAS libraries with fast matrix products.
var fastBLAS = []string{"openblas", "mkl", "blis", "atlas", "flexiblas", "armpl", "accelerate"}

// checkBLAS finds the BLAS library whose matrix products LibTorch uses. Debian's LibTorch
// uses whatever libblas.so.3 is, by default the reference BLAS, which is 35 times slower. Models that
// segment in float32 do without it.
func checkBLAS(in *Installation) Check {
	c := Check{Name: "BLAS", State: OK, Detail: "part of LibTorch"}
	libs, err := needed(filepath.Join(in.Lib, library("torch_cpu")))
	if err != nil {
		c.State, c.Detail = Warning, "unknown: "+err.Error()
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

// shared completes the check for the file that libblas.so.3 is a link to.
func (c Check) shared(path string) Check {
	switch {
	case path == "":
		c.State, c.Detail = Missing, "libblas.so.3 is missing"
		c.Fix = aptFix("libopenblas0-openmp", "install OpenBLAS")
	case isFast(path):
		c.Detail = path
		if strings.Contains(path, "openblas-pthread") && os.Getenv("OPENBLAS_NUM_THREADS") == "" {
			c.Detail += "; it is kept to one thread, or its threads and OpenMP's would compete for the cores: training is faster with the package libopenblas0-openmp"
		}
	default:
		c.State = Warning
		c.Detail = fmt.Sprintf("%s is the reference BLAS: training and float64 multiply about 35 times slower than with OpenBLAS; segmenting does without it", path)
		c.Fix = aptFix("libopenblas0-openmp", "install OpenBLAS as libblas.so.3")
		if others, _ := filepath.Glob(filepath.Join(filepath.Dir(filepath.Dir(path)), "openblas*", "libblas.so.3")); len(others) > 0 {
			c.Fix = "update-alternatives --set libblas.so.3-" + filepath.Base(filepath.Dir(filepath.Dir(path))) + " " + others[0]
		}
	}
	return c
}

// isFast reports whether a file name is that of a fast BLAS.
func isFast(path string) bool {
	for _, word := range fastBLAS {
		if strings.Contains(strings.ToLower(path), word) {
			return true
		}
	}
	return false
}

// searchPath returns the folders in which the loader looks for libraries, in its order.
func searchPath(in *Installation) []string {
	dirs := filepath.SplitList(os.Getenv("LD_LIBRARY_PATH"))
	dirs = append(dirs, in.Lib)
	for _, prefix := range []string{"/usr/local", "/usr", "/"} {
		dirs = append(dirs, libDirs(prefix)...)
	}
	return dirs
}

// resolve returns the file that a library's name stands for, with symbolic links followed, or
// nothing if there is none.
func resolve(lib string, dirs []string) string {
	for _, dir := range dirs {
		if path, err := filepath.EvalSymlinks(filepath.Join(dir, lib)); err == nil {
			return path
		}
	}
	return ""
}
