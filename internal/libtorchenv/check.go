package libtorchenv

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// State is the outcome of a Check.
type State string

const (
	OK      State = "ok"
	Warning State = "warning" // works, but worse than it could
	Missing State = "missing" // nothing works without it
)

// Check is what was found of one thing that the module needs or makes use of.
type Check struct {
	Name   string `json:"name"`
	State  State  `json:"state"`
	Detail string `json:"detail"`
	Fix    string `json:"fix,omitempty"` // the command or step that helps
}

// aptFix is apt's command where there is apt, and otherwise the advice.
func aptFix(packages, otherwise string) string {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return otherwise
	}
	if os.Geteuid() == 0 {
		return "apt-get install " + packages
	}
	return "sudo apt-get install " + packages
}

// Diagnose checks this machine: tools, the LibTorch that f finds, processor, memory, GPU.
// The Installation is nil when there is none.
func Diagnose(ctx context.Context, f Finder) ([]Check, *Installation) {
	in, err := f.Find(ctx)
	checks := []Check{checkGo(ctx), checkCompiler(ctx), checkLibtorch(in, err)}
	if in != nil {
		checks = append(checks, checkFlags(in, os.Getenv("CGO_CXXFLAGS"), os.Getenv("CGO_LDFLAGS")), checkBLAS(in))
	}
	return append(checks, checkProcessor(), checkMemory(), checkGPU(ctx, in)), in
}

func checkLibtorch(in *Installation, err error) Check {
	c := Check{Name: "LibTorch"}
	if err != nil {
		c.State = Missing
		c.Detail = strings.ReplaceAll(err.Error(), "\n", "; ")
		c.Fix = aptFix("libtorch-dev libopenblas0-openmp",
			"pip install torch, or unzip LibTorch and set LIBTORCH to its folder")
		return c
	}
	c.State = OK
	for _, name := range []string{"torch", "torch_cpu", "c10"} {
		if !exists(in.Lib + "/" + library(name)) {
			c.State = Missing
			c.Fix = "install it again: " + library(name) + " is not in " + in.Lib
		}
	}
	device := "CPU only"
	if in.CUDA {
		device = "CUDA"
	}
	c.Detail = fmt.Sprintf("%s, %s, in %s (%s)", in.Version, device, in.Root, in.Source)
	return c
}

// checkFlags tells whether a go build in this environment finds the LibTorch.
func checkFlags(in *Installation, cxxflags, ldflags string) Check {
	c := Check{Name: "cgo flags", State: OK, Detail: "set for this LibTorch"}
	wantCXX, wantLD := "-I"+in.Include, "-L"+in.Lib
	switch {
	case in.Root == "/usr" && cxxflags == "" && ldflags == "":
		c.Detail = "none needed"
	case in.Root == "/usr" && !strings.Contains(cxxflags, "-I") && !strings.Contains(ldflags, "-L"):
		c.Detail = "none needed for this LibTorch"
	case in.Root == "/usr" || !strings.Contains(cxxflags, wantCXX) || !strings.Contains(ldflags, wantLD):
		c.State = Warning
		c.Detail = "CGO_CXXFLAGS and CGO_LDFLAGS are not those of this LibTorch"
		c.Fix = `eval "$(diffusioninst env)"`
	}
	return c
}
