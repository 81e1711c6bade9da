package libtorchenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A Finder says where to look for LibTorch, in the order of its fields.
type Finder struct {
	Libtorch string   // folder of a LibTorch; empty to look in the other places
	Python   []string // interpreters whose torch package is taken
	System   []string // prefixes of installed packages, such as /usr
	CUDA     []string // folders in which the CUDA toolkit may be
}

// FromEnvironment returns the Finder for this process: $LIBTORCH, then the torch package of the
// active virtual environment or of the first python3 in $PATH, then the system's packages.
func FromEnvironment() Finder {
	f := Finder{
		Libtorch: os.Getenv("LIBTORCH"),
		System:   []string{"/usr/local", "/usr", "/usr/local/libtorch", "/opt/libtorch"},
		CUDA:     []string{"/usr/local/cuda", "/opt/cuda", "/usr"},
	}
	for _, v := range []string{"CUDA_PATH", "CUDA_HOME"} {
		if dir := os.Getenv(v); dir != "" {
			f.CUDA = slices.Insert(f.CUDA, 0, dir)
		}
	}
	for _, v := range []string{"VIRTUAL_ENV", "CONDA_PREFIX"} {
		if dir := os.Getenv(v); dir != "" {
			f.Python = append(f.Python, filepath.Join(dir, "bin", "python"))
		}
	}
	f.Python = append(f.Python, "python3", "python")
	return f
}

// Find returns the first LibTorch where f looks. If f.Libtorch names a folder, it must be a
// LibTorch: Find does not look elsewhere then. The error wraps ErrNotFound if there is none.
func (f Finder) Find(ctx context.Context) (*Installation, error) {
	if f.Libtorch != "" {
		in, err := inspect(f.Libtorch)
		if err != nil {
			return nil, fmt.Errorf("libtorchenv: LIBTORCH: %w", err)
		}
		return f.complete(in, FromLibtorch), nil
	}
	var unfit []error
	for _, python := range f.Python {
		dir := torchPackage(ctx, python)
		if dir == "" {
			continue
		}
		in, err := inspect(dir)
		if err == nil {
			return f.complete(in, FromPython), nil
		}
		unfit = append(unfit, fmt.Errorf("the torch package of %s: %w", python, err))
	}
	for _, prefix := range f.System {
		if !exists(filepath.Join(prefix, "include", versionHeader)) {
			continue
		}
		in, err := inspect(prefix)
		if err == nil {
			return f.complete(in, FromSystem), nil
		}
		unfit = append(unfit, err)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return nil, errors.Join(append([]error{ErrNotFound}, unfit...)...)
}

// torchPackage returns the folder of a Python interpreter's torch package, or nothing if
// there is none. It does not import the package, which would take seconds.
func torchPackage(ctx context.Context, python string) string {
	const script = `import importlib.util as u; s = u.find_spec("torch"); print(s.submodule_search_locations[0] if s else "")`
	out, err := output(ctx, python, "-c", script)
	if err != nil {
		return ""
	}
	return out
}

// output runs a command for at most 20 seconds and returns what it prints, trimmed.
func output(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}

// complete adds how an installation was found and, if it can use CUDA, where CUDA is.
func (f Finder) complete(in *Installation, source Source) *Installation {
	in.Source = source
	if !in.CUDA {
		return in
	}
	// Beside PyTorch's wheels, CUDA is in packages of its own.
	packages := filepath.Join(filepath.Dir(in.Root), "nvidia")
	for _, dir := range f.CUDA {
		if exists(filepath.Join(dir, "include", "cuda_runtime_api.h")) {
			in.CUDAInclude = filepath.Join(dir, "include")
			break
		}
	}
	if in.CUDAInclude == "" {
		headers, _ := filepath.Glob(filepath.Join(packages, "*", "include", "cuda_runtime_api.h"))
		if len(headers) > 0 {
			in.CUDAInclude = filepath.Dir(headers[0])
		}
	}
	in.CUDALibs, _ = filepath.Glob(filepath.Join(packages, "*", "lib"))
	for _, dir := range f.CUDA {
		if lib := filepath.Join(dir, "lib64"); dir != "/usr" && exists(lib) {
			in.CUDALibs = append(in.CUDALibs, lib)
			break
		}
	}
	return in
}
