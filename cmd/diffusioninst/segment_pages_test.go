//go:build cgo

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/internal/simulate"
	"github.com/diffusioninst/go/internal/tiff/tifftest"
)

// fields writes a field of nuclei in the forms in which microscopes write it.
func fields(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	img, _ := simulate.Nuclei(simulate.Options{Width: 64, Height: 64, Count: 4, Radius: 10, Seed: 4})
	grey := make([]uint8, 64*64)
	for i := range grey {
		grey[i] = img.Pix[4*i]
	}
	for name, file := range tifftest.Microscope(grey, 64, 64) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), file, 0o666))
	}
	return dir
}

// The built-in model finds the same in each form; with --norm none a dim one is a warning.
func TestSegmentMicroscopeFormats(t *testing.T) {
	if builtins["nuclei"] == nil {
		t.Skip("built without the weights")
	}
	dir := fields(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	args := func(more ...string) []string {
		return append([]string{"segment", "--weights", "builtin:nuclei", "--device", "cpu", "--format", "coco", "--output", at("out")}, more...)
	}
	_, stderr, err := runProgram(nil, args(at("8bit.tif"), at("dim.tif"), at("float32.tif"), at("blue.tif"))...)
	require.NoError(t, err)
	require.NotContains(t, stderr, "warning")
	set, err := coco.Load(at("out/coco.json"))
	require.NoError(t, err)
	counts := map[int64]int{}
	for _, a := range set.Annotations {
		counts[a.ImageID]++
	}
	require.GreaterOrEqual(t, counts[1], 3)
	for id := int64(2); id <= 4; id++ {
		require.Equal(t, counts[1], counts[id])
	}
	_, stderr, err = runProgram(nil, args("--norm", "none", at("dim.tif"))...)
	require.NoError(t, err)
	require.Contains(t, stderr, "dim.tif: its samples are")
	require.Contains(t, stderr, "(--norm 1,99.8)")
}

func TestSegmentPages(t *testing.T) {
	dir := fields(t)
	stack := filepath.Join(dir, "page2of3.tif")
	_, stderr, err := segment(nil, "--output", filepath.Join(dir, "out"), stack)
	require.Error(t, err)
	require.Contains(t, stderr, "choose one with Page (--page N), or all (--page all)")
	stdout, _, err := segment(nil, "--output", filepath.Join(dir, "out"), "--format", "masks", "--page", "all", stack)
	require.NoError(t, err)
	for _, name := range []string{"page2of3_page1.tif", "page2of3_page2.tif", "page2of3_page3.tif"} {
		require.Contains(t, stdout, name)
	}
	// The pages are pictures of their own to --resume.
	stdout, _, err = segment(nil, "--output", filepath.Join(dir, "out"), "--format", "masks", "--page", "all", "--resume", stack)
	require.NoError(t, err)
	require.Contains(t, stdout, "page2of3_page3.tif  64×64")
	require.Contains(t, stdout, "earlier")
	_, _, err = segment(nil, "--output", filepath.Join(dir, "two"), "--page", "2", stack)
	require.NoError(t, err)
	_, _, err = segment(nil, "--output", filepath.Join(dir, "two"), "--z", "max", "--channel", "1", stack)
	require.NoError(t, err)
	for _, bad := range [][]string{{"--page", "0"}, {"--page", "x"}, {"--z", "min"}, {"--page", "1", "--z", "1"}, {"--channel", "1,2,3,4"}, {"--norm", "bright"}} {
		_, _, err = segment(nil, append(bad, "--output", filepath.Join(dir, "two"), stack)...)
		require.ErrorContains(t, err, bad[0][2:])
	}
}
