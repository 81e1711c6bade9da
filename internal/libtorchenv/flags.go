package libtorchenv

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
)

// Flags are the settings with which cgo builds against an Installation.
type Flags struct {
	CXX []string // $CGO_CXXFLAGS
	LD  []string // $CGO_LDFLAGS
}

// Flags begin with Go's own defaults, since the variables replace those. For a LibTorch
// in /usr, where compiler and linker look anyway, nothing more is needed.
func (in *Installation) Flags() Flags {
	f := Flags{CXX: []string{"-O2", "-g"}, LD: []string{"-O2", "-g"}}
	if in.Root != "/usr" {
		f.CXX = append(f.CXX, "-I"+in.Include, "-I"+filepath.Join(in.Include, "torch/csrc/api/include"))
		f.LD = append(f.LD, "-L"+in.Lib, "-Wl,-rpath,"+in.Lib)
	}
	if in.CUDAInclude != "" && in.CUDAInclude != "/usr/include" {
		f.CXX = append(f.CXX, "-I"+in.CUDAInclude)
	}
	if in.Root != "/usr" && runtime.GOOS == "linux" {
		abi := 1
		if in.OldStrings {
			abi = 0
		}
		f.CXX = append(f.CXX, fmt.Sprintf("-D_GLIBCXX_USE_CXX11_ABI=%d", abi))
	}
	for _, dir := range in.CUDALibs {
		f.LD = append(f.LD, "-Wl,-rpath-link,"+dir, "-Wl,-rpath,"+dir)
	}
	return f
}

// Environment is CGO_CXXFLAGS and CGO_LDFLAGS as the go command reads them.
func (f Flags) Environment() (cxxflags, ldflags string, err error) {
	if cxxflags, err = join(f.CXX); err != nil {
		return "", "", err
	}
	ldflags, err = join(f.LD)
	return cxxflags, ldflags, err
}

// join separates arguments by spaces and quotes those that have some: the go command
// splits the variables at spaces outside quotes and knows no escapes.
func join(args []string) (string, error) {
	quoted := make([]string, len(args))
	for i, arg := range args {
		switch {
		case strings.HasPrefix(arg, "-Wl,") && strings.Count(arg, ",") > 2:
			return "", fmt.Errorf("the linker cannot take a folder with a comma in its name: %s", arg)
		case !strings.ContainsAny(arg, " \t\n\r'\""):
			quoted[i] = arg
		case !strings.Contains(arg, "'"):
			quoted[i] = "'" + arg + "'"
		case !strings.Contains(arg, `"`):
			quoted[i] = `"` + arg + `"`
		default:
			return "", fmt.Errorf("cgo cannot take a path with both kinds of quotes: %s", arg)
		}
	}
	return strings.Join(quoted, " "), nil
}

// ShellQuote writes s as one word of a POSIX shell.
func ShellQuote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
