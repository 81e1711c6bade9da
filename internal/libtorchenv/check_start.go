package libtorchenv

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// checkStart checks whether this process, if it is a program over in, had to load libraries
// that nothing uses. The name of the Check is empty if it is not.
func checkStart(ctx context.Context, in *Installation) Check {
	loaded, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return Check{}
	}
	cpu, err := filepath.EvalSymlinks(filepath.Join(in.Lib, library("torch_cpu")))
	if err != nil || !strings.Contains(string(loaded), cpu) {
		return Check{}
	}
	c := Check{Name: "start", State: OK, Detail: "no libraries are loaded without use"}
	unused, err := in.Unused(ctx)
	if err != nil {
		c.Detail = "which libraries are of use is unknown: " + strings.TrimPrefix(err.Error(), "libtorchenv: ")
	}
	for _, name := range unused {
		stem, _, _ := strings.Cut(name, ".so") // the file has more numbers
		if strings.Contains(string(loaded), "/"+stem+".so") {
			c.State = Warning
			c.Detail = fmt.Sprintf("LibTorch loads %s and others that nothing uses, which makes programs start late", name)
			c.Fix = `eval "$(diffusioninst env --lean FOLDER)", then build it again`
			break
		}
	}
	return c
}
