package golden

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Kind is the kind of a golden case, which follows from the files in its folder.
type Kind int

const (
	None       Kind = iota // not a golden case
	Model                  // golden.safetensors, weights.json, config.yaml and image0.png
	Training               // golden.safetensors, weights.json and config.yaml, without image0.png
	Evaluation             // gt.json, dets.json and expected.json
	Masks                  // rle.json
)

// KindOf returns the kind of the case in the folder dir.
func KindOf(dir string) Kind {
	switch {
	case has(dir, "golden.safetensors", "weights.json", "config.yaml", "image0.png"):
		return Model
	case has(dir, "golden.safetensors", "weights.json", "config.yaml"):
		return Training
	case has(dir, "gt.json", "dets.json", "expected.json"):
		return Evaluation
	case has(dir, "rle.json"):
		return Masks
	}
	return None
}

// has reports whether a folder contains all of the named files.
func has(dir string, names ...string) bool {
	return !slices.ContainsFunc(names, func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err != nil
	})
}

// Each runs f as a subtest for every case of the given kind, named after the case's
// folder. Cases come from this package's testdata, from ../shared/golden beside the
// repository, and from $DIFFUSIONINST_GOLDEN, with all folders below them. Of several
// cases with one name, the last in this order is used. In CI (CI=true) the test fails
// if neither of the latter two exists.
func Each(t *testing.T, kind Kind, f func(t *testing.T, dir string)) {
	t.Helper()
	dirs := find(t, func(dir string) bool { return KindOf(dir) == kind })
	if len(dirs) == 0 {
		t.Fatal("golden: no case of this kind was found")
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) { f(t, dir) })
	}
}

// With returns the folders, of those that [Each] searches, that contain all of the
// named files.
func With(t testing.TB, files ...string) []string {
	t.Helper()
	return find(t, func(dir string) bool { return has(dir, files...) })
}

// Dir returns the folder of a case in this package's testdata.
func Dir(name string) string { return filepath.Join(source(), "testdata", name) }

// source returns this package's folder. It looks for the module above the working folder,
// which is the tested package's, because -trimpath hides where the sources are.
func source() string {
	dir, _ := os.Getwd()
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		own := filepath.Join(dir, "internal", "golden", "cases.go")
		if _, err := os.Stat(own); err == nil {
			return filepath.Dir(own)
		}
	}
	panic("golden: no folder of the module above the working folder")
}

func roots(t testing.TB) []string {
	t.Helper()
	out := []string{filepath.Join(source(), "testdata")}
	own := os.Getenv("DIFFUSIONINST_GOLDEN")
	shared := filepath.Join(source(), "..", "..", "..", "shared", "golden")
	if _, err := os.Stat(shared); err == nil {
		out = append(out, shared)
	} else if os.Getenv("CI") == "true" && own == "" {
		t.Fatalf("golden: CI needs the shared cases (%v), or $DIFFUSIONINST_GOLDEN with others", err)
	}
	if own != "" {
		if _, err := os.Stat(own); err != nil {
			t.Fatalf("golden: $DIFFUSIONINST_GOLDEN: %v", err)
		}
		out = append(out, own)
	}
	return out
}

// find returns the folders that are a match, sorted by name. Hidden ones are left out.
func find(t testing.TB, match func(dir string) bool) []string {
	t.Helper()
	found := map[string]string{}
	for _, root := range roots(t) {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil || !d.IsDir():
				return err
			case path != root && strings.HasPrefix(d.Name(), "."):
				return filepath.SkipDir
			case match(path):
				found[d.Name()] = path
			}
			return nil
		})
		if err != nil {
			t.Fatalf("golden: %v", err)
		}
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(found)) {
		out = append(out, found[name])
	}
	return out
}
