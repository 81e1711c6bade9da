package libtorchenv

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// A Source is how an Installation was found.
type Source string

const (
	FromLibtorch Source = "LIBTORCH" // the folder that $LIBTORCH names
	FromPython   Source = "python"   // the torch package of a Python interpreter
	FromSystem   Source = "system"   // the operating system's packages
)

// An Installation is a LibTorch with headers and libraries.
type Installation struct {
	Source  Source `json:"source"`
	Root    string `json:"root"`    // /usr, an unzipped libtorch, or a torch package folder
	Include string `json:"include"` // has torch/ and ATen/
	Lib     string `json:"lib"`     // has libtorch.so
	Version string `json:"version"` // such as 2.11.0+cu128

	// OldStrings reports whether the libraries were built with libstdc++'s strings from before
	// C++11 (_GLIBCXX_USE_CXX11_ABI=0), as PyTorch's Linux wheels were until 2.6.
	OldStrings bool `json:"old_strings"`

	CUDA        bool     `json:"cuda"`                   // whether it can use NVIDIA GPUs
	CUDAInclude string   `json:"cuda_include,omitempty"` // the CUDA toolkit's headers
	CUDALibs    []string `json:"cuda_libs,omitempty"`    // folders of CUDA's own libraries
}

// ErrNotFound is wrapped by the error of a search that found no LibTorch.
var ErrNotFound = errors.New("libtorchenv: no LibTorch found")

// MinVersion is the oldest LibTorch release that the module builds against.
const MinVersion = "1.13"

const versionHeader = "torch/csrc/api/include/torch/version.h"

// Inspect describes the LibTorch in the folder root: an unzipped libtorch, a torch package
// of Python, or a prefix such as /usr. Its error says what is missing there.
func Inspect(root string) (*Installation, error) {
	in, err := inspect(root)
	if err != nil {
		return nil, fmt.Errorf("libtorchenv: %w", err)
	}
	return in, nil
}

func inspect(root string) (*Installation, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	in := &Installation{Root: root, Include: filepath.Join(root, "include")}
	if !exists(filepath.Join(in.Include, versionHeader)) {
		return nil, fmt.Errorf("%s has no include/%s", root, versionHeader)
	}
	for _, dir := range libDirs(root) {
		if exists(filepath.Join(dir, library("torch"))) {
			in.Lib = dir
			break
		}
	}
	if in.Lib == "" {
		return nil, fmt.Errorf("%s has LibTorch's headers, but no %s in %s",
			root, library("torch"), strings.Join(libDirs(root), ", "))
	}
	if in.Version, err = version(in); err != nil {
		return nil, err
	}
	if !atLeast(in.Version, MinVersion) {
		return nil, fmt.Errorf("%s is LibTorch %s; %s or newer is needed", root, in.Version, MinVersion)
	}
	if in.OldStrings, err = oldStrings(filepath.Join(in.Lib, library("c10"))); err != nil {
		return nil, err
	}
	in.CUDA = exists(filepath.Join(in.Lib, library("torch_cuda")))
	return in, nil
}

// libDirs returns the folders below a prefix in which its libraries may be.
func libDirs(root string) []string {
	dirs := []string{filepath.Join(root, "lib"), filepath.Join(root, "lib64")}
	if triple, ok := map[string]string{
		"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu", "ppc64le": "powerpc64le-linux-gnu",
		"riscv64": "riscv64-linux-gnu", "s390x": "s390x-linux-gnu",
	}[runtime.GOARCH]; ok {
		dirs = append([]string{filepath.Join(root, "lib", triple)}, dirs...)
	}
	return dirs
}

// library returns the file name of a shared library.
func library(name string) string {
	if runtime.GOOS == "darwin" {
		return "lib" + name + ".dylib"
	}
	return "lib" + name + ".so"
}

var (
	pythonVersion = regexp.MustCompile(`(?m)^__version__\s*=\s*['"]([^'"]+)['"]`)
	headerVersion = regexp.MustCompile(`(?m)^#define TORCH_VERSION_(MAJOR|MINOR|PATCH) (\d+)`)
)

// version reads an installation's version from the files that may have it, first from those
// that have it with a build suffix (+cpu, +cu128).
func version(in *Installation) (string, error) {
	if text, err := os.ReadFile(filepath.Join(in.Root, "build-version")); err == nil {
		if v := strings.TrimSpace(string(text)); v != "" {
			return v, nil
		}
	}
	if text, err := os.ReadFile(filepath.Join(in.Root, "version.py")); err == nil {
		if m := pythonVersion.FindSubmatch(text); m != nil {
			return string(m[1]), nil
		}
	}
	header := filepath.Join(in.Include, versionHeader)
	// LibTorch 2.8 and later keep the numbers in a header that this one includes.
	for _, path := range []string{header, filepath.Join(in.Include, "torch/headeronly/version.h")} {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		part := map[string]string{}
		for _, m := range headerVersion.FindAllStringSubmatch(string(text), -1) {
			part[m[1]] = m[2]
		}
		if len(part) == 3 {
			return part["MAJOR"] + "." + part["MINOR"] + "." + part["PATCH"], nil
		}
	}
	return "", fmt.Errorf("%s names no LibTorch version", header)
}

// atLeast reports whether a dotted version is min or later. It compares the leading numbers
// and ignores what follows them.
func atLeast(version, min string) bool {
	return slices.Compare(numbers(version), numbers(min)) >= 0
}

// numbers returns the leading numbers of a dotted version.
func numbers(version string) []int {
	var ns []int
	for _, s := range strings.Split(version, ".") {
		digits := s[:len(s)-len(strings.TrimLeft(s, "0123456789"))]
		n, err := strconv.Atoi(digits)
		if err != nil {
			break
		}
		ns = append(ns, n)
		if digits != s {
			break
		}
	}
	return ns
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
