package libtorchenv

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
)

// Flags are the settings for cgo to build against an Installation.
type Flags struct {
	CXX []string // $CGO_CXXFLAGS
	LD  []string // $CGO_LDFLAGS
}

// Flags returns the settings for this installation. They begin with Go's own defaults, which
// the variables replace. A LibTorch in /usr, where compiler and linker look anyway, needs no
// others.
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

// Environment returns the values of CGO_CXXFLAGS and CGO_LDFLAGS as the go command reads them.
// It fails for paths that the variables cannot express.
func (f Flags) Environment() (cxxflags, ldflags string, err error) {
	if cxxflags, err = join(f.CXX); err != nil {
		return "", "", err
	}
	ldflags, err = join(f.LD)
	return cxxflags, ldflags, err
}

// join separates arguments by spaces and quotes those with spaces or quotes: the go command
// splits the variables at spaces outside quotes and knows no escapes.
func join(args []string) (string, error) {
	quoted := make([]string, len(args))
	for i, arg := range args {
		switch {
		case strings.HasPrefix(arg, "-Wl,") && strings.Count(arg, ",") > 2:
			return "", fmt.Errorf("libtorchenv: the linker cannot take a folder with a comma in its name: %s", arg)
		case !strings.ContainsAny(arg, " \t\n\r'\""):
			quoted[i] = arg
		case !strings.Contains(arg, "'"):
			quoted[i] = "'" + arg + "'"
		case !strings.Contains(arg, `"`):
			quoted[i] = `"` + arg + `"`
		default:
			return "", fmt.Errorf("libtorchenv: cgo cannot take a path with both kinds of quotes: %s", arg)
		}
	}
	return strings.Join(quoted, " "), nil
}

// ShellQuote returns s quoted as one word of a POSIX shell.
func ShellQuote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
