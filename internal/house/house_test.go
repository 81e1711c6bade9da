package house

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/diffusioninst/go/internal/proctest"
	"github.com/stretchr/testify/require"
)

const module = "github.com/diffusioninst/go/"

// rooms says what the files of a package, tests aside, may import besides the standard
// library: packages of this module, and other modules by the beginning of their paths.
// A rule for a path holds for the folders below it, too, unless they have their own;
// these and the package itself may import each other.
var rooms = map[string][]string{
	"mask":    {"internal/imagecheck", "golang.org/x/image"},
	"coco":    {"mask", "internal/nilcheck", "internal/atomicfile", "internal/regular", "internal/utf", "internal/pngbuffer", "internal/pngrepair", "internal/relay"},
	"picture": {"internal/nilcheck", "internal/imagecheck", "internal/jpeg", "internal/pngrepair", "internal/regular", "internal/relay", "internal/tiff", "golang.org/x/image", "github.com/bep/imagemeta"},
	"annotation": {
		"internal/nilcheck", "coco", "mask", "picture", "internal/checkpoint", "internal/pngrepair", "internal/regular", "internal/tiff", "internal/utf", "go.yaml.in/yaml/v3", "golang.org/x/image",
	},
	"torch": {"internal/libtorch", "internal/processor", "internal/relay", "golang.org/x/sys"},
	// Who does not import it links nothing of c10d's.
	"torch/processes": {"internal/processes", "torch"},
	"nn":              {"torch", "internal/nilcheck", "internal/checkpoint"},
	"backbone":        {"nn", "torch"},
	"maskhead":        {"nn", "torch", "mask"},
	"decoder":         {"nn", "torch"},
	"sampler":         {"torch", "internal/nilcheck"},
	"diffusioninst": {
		"backbone", "coco", "decoder", "mask", "maskhead", "nn", "sampler", "torch",
		"picture", "internal/nilcheck", "internal/checkpoint", "internal/detectron2", "internal/imagecheck", "internal/pipeline", "internal/processor", "golang.org/x",
	},
	"evaluation": {"annotation", "coco", "diffusioninst", "picture", "internal/pipeline"},
	"nuclei":     {"diffusioninst"},
	// A module of its own: importers of the SDK do not inherit what it needs. So is the program.
	"serve": {
		"annotation", "coco", "diffusioninst", "evaluation", "mask", "picture", "torch", "internal/pngbuffer", "internal/relay",
		"google.golang.org/grpc", "google.golang.org/protobuf", "google.golang.org/genproto/googleapis/rpc", "github.com/prometheus/client_golang",
	},
	"train": {
		"train/data", "train/journal",
		"backbone", "coco", "decoder", "diffusioninst", "mask", "maskhead", "nn", "sampler", "torch",
		"picture", "internal/atomicfile", "internal/checkpoint", "internal/detectron2", "internal/nilcheck", "internal/processor", "internal/relay", "internal/simulate", "golang.org/x",
	},
	"train/journal": {"internal/atomicfile", "internal/regular"},
	"train/data":    {"annotation", "coco", "mask", "picture", "internal/nilcheck", "internal/regular", "internal/relay", "golang.org/x"},

	"internal/allocation":  {},
	"internal/atomicfile":  {"golang.org/x/sys"},
	"internal/libtorch":    {},
	"internal/checkpoint":  {},
	"internal/closetest":   {},
	"internal/detectron2":  {"internal/regular", "internal/utf", "go.yaml.in/yaml/v3"},
	"internal/golden":      {"internal/relay"},
	"internal/house":       {},
	"internal/nilcheck":    {},
	"internal/zerotest":    {},
	"internal/imagecheck":  {"internal/nilcheck"},
	"internal/leak":        {},
	"internal/pickletest":  {},
	"internal/pipeline":    {"internal/relay"},
	"internal/pngbuffer":   {},
	"internal/pngrepair":   {},
	"internal/processes":   {},
	"internal/processor":   {"golang.org/x/sys"},
	"internal/proctest":    {},
	"internal/relay":       {},
	"internal/fakecuda":    {"internal/proctest", "torch"},
	"internal/fliptest":    {},
	"internal/libtorchenv": {"internal/processor", "golang.org/x/sys"},
	"internal/modeltest":   {"internal/checkpoint", "internal/golden", "nn", "torch", "github.com/stretchr/testify"},
	"internal/regular":     {"internal/nilcheck"},
	"internal/jpeg":        {"internal/relay"},
	"internal/tiff":        {"golang.org/x/image", "github.com/klauspost/compress", "github.com/ulikunitz/xz"},
	"internal/simulate":    {"mask", "golang.org/x/image"},
	"internal/utf":         {"internal/nilcheck"},

	// What people look at to learn the module uses nothing that they could not.
	"examples": {"annotation", "backbone", "coco", "decoder", "diffusioninst", "evaluation", "mask", "maskhead", "nn", "nuclei", "picture", "sampler", "torch", "train", "train/data", "train/journal"},
	"cmd/diffusioninst": { // a module of its own, too
		"annotation", "backbone", "coco", "decoder", "diffusioninst", "evaluation", "mask", "maskhead", "nn", "nuclei", "sampler", "serve", "torch", "torch/processes", "train", "train/data", "train/journal",
		"internal/atomicfile", "internal/checkpoint", "internal/detectron2", "internal/pipeline", "internal/processor", "internal/regular", "internal/relay", "picture", "internal/libtorchenv", "internal/simulate", "internal/utf",
		"github.com/spf13/cobra", "github.com/spf13/pflag", "github.com/schollz/progressbar/v3", "gonum.org/v1/plot", "golang.org/x", "go.opentelemetry.io", "github.com/aws",
	},
}

// pure are the packages that build with CGO_ENABLED=0. The program then lacks the commands that need LibTorch.
var pure = []string{
	"mask", "coco", "annotation", "cmd/diffusioninst", "internal/atomicfile", "internal/checkpoint", "internal/detectron2", "internal/golden",
	"internal/libtorchenv", "internal/jpeg", "internal/pipeline", "internal/processor", "internal/regular", "internal/relay", "internal/simulate", "internal/tiff", "internal/utf", "nuclei", "picture", "train/data", "train/journal",
}

type problem struct{ Err string }

type listed struct {
	ImportPath    string
	Standard      bool
	Imports, Deps []string
	CgoFiles      []string
	Error         *problem
	DepsErrors    []problem
}

// list asks the go command about packages of this module.
func list(t *testing.T, cgo string, args ...string) map[string]listed {
	t.Helper()
	cmd := proctest.Command(t, "go", append([]string{"list", "-e", "-json=ImportPath,Standard,Imports,Deps,CgoFiles,Error,DepsErrors"}, args...)...)
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
	out, err := cmd.Output()
	require.NoError(t, err)
	packages := map[string]listed{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else {
			require.NoError(t, err)
		}
		packages[p.ImportPath] = p
	}
}

// room is the path in rooms whose rule holds for a package of this module.
func room(path string) (string, bool) {
	for {
		if _, ok := rooms[path]; ok {
			return path, true
		}
		end := strings.LastIndexByte(path, '/')
		if end < 0 {
			return "", false
		}
		path = path[:end]
	}
}

func allowed(room, path string) bool {
	if ours, ok := strings.CutPrefix(path, module); ok {
		return below(ours, room) || slices.Contains(rooms[room], ours)
	}
	return slices.ContainsFunc(rooms[room], func(prefix string) bool { return below(path, prefix) })
}

func below(path, prefix string) bool {
	return path == prefix || strings.HasPrefix(path, prefix+"/")
}

func TestArrowsPointDown(t *testing.T) {
	all := list(t, "1", "-deps", "work")
	count := 0
	for path, p := range all {
		ours, ok := strings.CutPrefix(path, module)
		if !ok {
			continue
		}
		count++
		at, ok := room(ours)
		if !ok {
			t.Errorf("package %s has no rule here: say what it may import", ours)
			continue
		}
		for _, path := range p.Imports {
			if path == "C" || all[path].Standard || allowed(at, path) {
				continue
			}
			t.Errorf("%s imports %s, which the plan does not allow", ours, strings.TrimPrefix(path, module))
		}
		if len(p.CgoFiles) > 0 && ours != "internal/libtorch" && ours != "internal/processes" {
			t.Errorf("%s uses cgo; only internal/libtorch and internal/processes may", ours)
		}
	}
	require.Greater(t, count, 10, "go list found the module's packages")
}

func TestPureRoomsNeedNoCgo(t *testing.T) {
	paths := make([]string, len(pure))
	for i, p := range pure {
		paths[i] = "./" + p
	}
	packages := list(t, "0", paths...)
	require.Len(t, packages, len(pure))
	for path, p := range packages {
		for _, dep := range p.Deps {
			if dep == "runtime/cgo" || dep == module+"internal/libtorch" || dep == module+"torch" {
				t.Errorf("%s depends on %s without cgo", path, dep)
			}
		}
		for _, err := range p.DepsErrors {
			t.Errorf("%s: %s", path, err.Err)
		}
		if p.Error != nil {
			t.Error(p.Error.Err)
		}
	}
}

// The weights of the built-in model are in no program that does not ask for them.
func TestBuiltinModelIsInNoOtherPackage(t *testing.T) {
	carriers := 0
	for path, p := range list(t, "1", "work") {
		ours := strings.TrimPrefix(path, module)
		if !slices.Contains(p.Deps, module+"nuclei") {
			continue
		}
		carriers++
		require.True(t, below(ours, "cmd/diffusioninst") || below(ours, "examples"), ours)
	}
	require.Positive(t, carriers, "the program has it")
}

// The rules themselves are tried on arrows that must not be.
func TestRulesForbid(t *testing.T) {
	for _, arrow := range []struct{ from, to string }{
		{"mask", module + "torch"}, {"sampler", module + "decoder"}, {"decoder", module + "sampler"},
		{"torch", module + "nn"}, {"diffusioninst", module + "train"}, {"internal/checkpoint", "golang.org/x/sys/unix"},
		{"examples/segment_image", module + "internal/simulate"}, {"backbone", "github.com/stretchr/testify/require"},
		{"mask", "golang.org/x/imagery"}, {"diffusioninst", module + "nuclei"}, {"train", module + "nuclei"}, {"evaluation", module + "nuclei"},
		{"serve", "github.com/spf13/cobra"}, {"diffusioninst", "google.golang.org/grpc"}, {"diffusioninst", module + "serve"},
	} {
		at, ok := room(arrow.from)
		require.True(t, ok)
		require.False(t, allowed(at, arrow.to), "%s → %s", arrow.from, arrow.to)
	}
	_, ok := room("utils")
	require.False(t, ok)
}
