package libtorchenv

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// checkStart checks whether this process, if it is a program over in, had to load libraries
// that nothing uses. The name of the Check is empty otherwise.
func checkStart(ctx context.Context, in *Installation) Check {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return Check{}
	}
	cpu, err := filepath.EvalSymlinks(filepath.Join(in.Lib, library("torch_cpu")))
	if err != nil || !strings.Contains(string(maps), cpu) {
		return Check{}
	}
	c := Check{Name: "start", State: OK, Detail: "LibTorch loads no libraries without use"}
	unused, err := in.Unused(ctx)
	switch {
	case err != nil:
		c.Detail = "what LibTorch loads is unknown: " + err.Error()
	case len(unused) > 0 && strings.Contains(string(maps), standIn):
		c.Detail = "what LibTorch lists without use is not loaded"
	case len(unused) > 0:
		c.State = Warning
		c.Detail = fmt.Sprintf("LibTorch loads %s and others that nothing uses, which makes programs start late", unused[0])
		c.Fix = `eval "$(diffusioninst env --lean FOLDER)", then build it again`
	}
	return c
}
