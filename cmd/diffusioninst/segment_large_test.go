//go:build cgo

package main

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/internal/tiff/tifftest"
)

// A TIFF file that is too large to be read at once is segmented in tiles, and measured; only what
// draws on it is left out. Without --tile the error says what to do.
func TestSegmentATIFFBeyondTheLimit(t *testing.T) {
	dir := t.TempDir()
	large := filepath.Join(dir, "slide.tif")
	const w, h, tile = 66_000, 64, 64 // more than 65,535 pixels wide
	plane := make([]byte, w*h)
	for i := range plane {
		plane[i] = byte(i%w/100) * 3
	}
	data := tifftest.Encode(binary.LittleEndian, true, tifftest.Page{Width: w, Height: h, Photometric: 1, Tile: tile, Compression: 50000, Planes: [][]byte{plane}})
	require.NoError(t, os.WriteFile(large, data, 0o600))
	run := func(more ...string) (string, error) {
		_, stderr, err := segment(nil, append([]string{"--proposals", "20", "--score", "0.01", "--limit", "20",
			"--format", "overlay,results,measurements,html", "--output", filepath.Join(dir, "out"), large}, more...)...)
		return stderr, err
	}
	stderr, err := run()
	require.Error(t, err)
	require.Contains(t, stderr, "the limit is 65535 per side: --tile N segments a TIFF file of this size in parts")

	stderr, err = run("--tile", "2048", "--scale", "0.25")
	require.NoError(t, err, stderr)
	for _, what := range []string{"overlay", "html"} {
		require.Equal(t, 1, strings.Count(stderr, what+": 1 picture too large to be read at once and not drawn: slide.tif"), stderr)
	}
	_, err = os.Stat(filepath.Join(dir, "out", "overlay", "slide.png"))
	require.ErrorIs(t, err, os.ErrNotExist)
	results, err := coco.LoadResults(filepath.Join(dir, "out", "results.json"))
	require.NoError(t, err)
	table, err := os.ReadFile(filepath.Join(dir, "out", "measurements", "slide.csv"))
	require.NoError(t, err)
	require.NotContains(t, string(table), "NaN")
	require.Len(t, results, 20)

	// What is found is compared with true masks, and a note says that there is no picture of that.
	b := coco.NewBuilder(nil)
	require.NoError(t, b.Add(&coco.LabeledImage{FileName: "slide.tif", Width: w, Height: h}))
	truth := filepath.Join(dir, "truth.json")
	require.NoError(t, b.Dataset.Save(truth))
	stderr, err = run("--tile", "2048", "--scale", "0.25", "--gt", truth)
	require.NoError(t, err, stderr)
	require.Equal(t, 1, strings.Count(stderr, "--gt: 1 picture too large to be read at once and not drawn: slide.tif"), stderr)
}
