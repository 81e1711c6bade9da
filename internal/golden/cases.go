package golden

import (
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"testing"
)

// Kind is the sort of a golden case, told by the files in its folder.
type Kind int

const (
	None       Kind = iota
	Model           // golden.safetensors, weights.json, config.yaml and image0.png
	Training        // golden.safetensors, weights.json and config.yaml, without image0.png
	Evaluation      // gt.json, dets.json and expected.json
	Masks           // rle.json
)

// KindOf recognises the case in folder dir.
func KindOf(dir string) Kind {
	has := func(names ...string) bool {
		for _, name := range names {
			if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
				return false
			}
		}
		return true
	}
	switch {
	case has("golden.safetensors", "weights.json", "config.yaml", "image0.png"):
		return Model
	case has("golden.safetensors", "weights.json", "config.yaml"):
		return Training
	case has("gt.json", "dets.json", "expected.json"):
		return Evaluation
	case has("rle.json"):
		return Masks
	}
	return None
}

// Each runs f as a subtest for every case of the given kind, named after the
// case's folder. Cases come from the project's own test data, from every folder
// below $DIFFUSIONINST_GOLDEN, and from ../shared/golden beside the repository,
// which must exist where CI=true. Of two cases of one name the later counts.
func Each(t *testing.T, kind Kind, f func(t *testing.T, dir string)) {
	t.Helper()
	found := map[string]string{}
	for _, root := range roots(t) {
		for _, dir := range folders(t, root) {
			if KindOf(dir) == kind {
				found[filepath.Base(dir)] = dir
			}
		}
	}
	if len(found) == 0 {
		t.Fatal("golden: no case of this kind was found")
	}
	names := make([]string, 0, len(found))
	for name := range found {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		t.Run(name, func(t *testing.T) { f(t, found[name]) })
	}
}

// Dir is the folder of a case that is part of the project's own test data.
func Dir(name string) string { return filepath.Join(source(), "testdata", name) }

func source() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(file)
}

func roots(t *testing.T) []string {
	t.Helper()
	out := []string{filepath.Join(source(), "testdata")}
	shared := filepath.Join(source(), "..", "..", "..", "shared", "golden")
	if _, err := os.Stat(shared); err == nil {
		out = append(out, shared)
	} else if os.Getenv("CI") == "true" {
		t.Fatalf("golden: CI needs the shared cases: %v", err)
	}
	if own := os.Getenv("DIFFUSIONINST_GOLDEN"); own != "" {
		if _, err := os.Stat(own); err != nil {
			t.Fatalf("golden: $DIFFUSIONINST_GOLDEN: %v", err)
		}
		out = append(out, own)
	}
	return out
}

// folders lists root and every folder below it.
func folders(t *testing.T, root string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if path != root && strings.HasPrefix(d.Name(), ".") {
				return filepath.SkipDir
			}
			out = append(out, path)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("golden: %v", err)
	}
	return out
}
