package libtorchenv

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// A State is the outcome of a Check.
type State string

const (
	OK      State = "ok"
	Warning State = "warning" // it works, but slowly or in part
	Missing State = "missing" // nothing works without it
)

// A Check is what was found out about one thing that the module needs or makes use of.
type Check struct {
	Name   string `json:"name"`
	State  State  `json:"state"`
	Detail string `json:"detail"`
	Fix    string `json:"fix,omitempty"` // the command or step that helps
}

// aptFix returns apt's command to install packages, or on systems without apt the advice.
func aptFix(packages, otherwise string) string {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return otherwise
	}
	if os.Geteuid() == 0 {
		return "apt-get install " + packages
	}
	return "sudo apt-get install " + packages
}

// Diagnose checks this machine: tools, the LibTorch that f finds, processor, memory and GPU.
// The Installation is nil if no LibTorch is found.
func Diagnose(ctx context.Context, f Finder) ([]Check, *Installation) {
	in, err := f.Find(ctx)
	checks := []Check{checkGo(ctx), checkCompiler(ctx), checkLibtorch(in, err)}
	if in != nil {
		checks = append(checks, checkFlags(in, os.Getenv("CGO_CXXFLAGS"), os.Getenv("CGO_LDFLAGS")), checkBLAS(in))
		if c := checkStart(ctx, in); c.Name != "" {
			checks = append(checks, c)
		}
	}
	return append(checks, checkProcessor(), checkMemory(), checkGPU(ctx, in)), in
}

func checkLibtorch(in *Installation, err error) Check {
	c := Check{Name: "LibTorch"}
	if err != nil {
		c.State = Missing
		c.Detail = strings.ReplaceAll(strings.TrimPrefix(err.Error(), "libtorchenv: "), "\n", "; ")
		c.Fix = aptFix("libtorch-dev libopenblas0-openmp",
			"pip install torch, or unzip LibTorch and set LIBTORCH to its folder")
		return c
	}
	c.State = OK
	for _, name := range []string{"torch", "torch_cpu", "c10"} {
		if !exists(in.Lib + "/" + library(name)) {
			c.State = Missing
			c.Fix = "install LibTorch again: " + library(name) + " is not in " + in.Lib
		}
	}
	device := "without CUDA"
	if in.CUDA {
		device = "with CUDA"
	}
	c.Detail = fmt.Sprintf("%s, %s, in %s (%s)", in.Version, device, in.Root, foundBy[in.Source])
	return c
}

// foundBy says how an installation was found.
var foundBy = map[Source]string{
	FromLibtorch: "named by LIBTORCH", FromPython: "Python's torch package", FromSystem: "the system's package",
}

// checkFlags checks that a go build in this environment finds the LibTorch.
func checkFlags(in *Installation, cxxflags, ldflags string) Check {
	c := Check{Name: "cgo flags", State: OK, Detail: "CGO_CXXFLAGS and CGO_LDFLAGS are set for this LibTorch"}
	wantCXX, wantLD := "-I"+in.Include, "-L"+in.Lib
	switch {
	case in.Root == "/usr" && cxxflags == "" && ldflags == "":
		c.Detail = "none needed: the compiler finds this LibTorch by itself"
	case in.Root == "/usr" && !strings.Contains(cxxflags, "-I") && !strings.Contains(ldflags, "-L"):
		c.Detail = "none needed: the compiler finds this LibTorch by itself"
	case in.Root == "/usr" || !strings.Contains(cxxflags, wantCXX) || !strings.Contains(ldflags, wantLD):
		c.State = Warning
		c.Detail = "CGO_CXXFLAGS and CGO_LDFLAGS are not set for this LibTorch"
		c.Fix = `eval "$(diffusioninst env)"`
	}
	return c
}
