package main

import (
	"image/png"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/internal/simulate"
)

func simulated(t *testing.T, args ...string) (folder string, err error) {
	t.Helper()
	folder = filepath.Join(t.TempDir(), "set")
	cmd := newRoot()
	cmd.SetOut(io.Discard)
	cmd.SetArgs(append([]string{"data", "simulate", folder}, args...))
	return folder, cmd.ExecuteContext(t.Context())
}

func TestDataSimulate(t *testing.T) {
	folder, err := simulated(t, "--count", "3", "--width", "90", "--height", "70", "--seed", "5", "--objects", "4")
	require.NoError(t, err)
	set, err := coco.Load(filepath.Join(folder, "instances.json"))
	require.NoError(t, err)
	require.Empty(t, set.Validate())
	require.Len(t, set.Images, 3)
	require.Len(t, set.Categories, len(simulate.ShapeNames))
	i := uint64(0)
	for p, err := range set.LabeledImages() {
		require.NoError(t, err)
		want, objects := simulate.Shapes(simulate.Options{Width: 90, Height: 70, Count: 4, Seed: 5 + i})
		i++
		f, err := os.Open(filepath.Join(folder, p.FileName))
		require.NoError(t, err)
		got, err := png.Decode(f)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		for y := range 70 {
			for x := range 90 {
				r, g, b, _ := got.At(x, y).RGBA()
				wr, wg, wb, _ := want.At(x, y).RGBA()
				require.Equal(t, [3]uint32{wr, wg, wb}, [3]uint32{r, g, b})
			}
		}
		require.Len(t, p.Instances, len(objects))
		for k, o := range objects {
			require.Equal(t, simulate.ShapeNames[o.Class], p.Instances[k].Category)
			require.Equal(t, o.Mask.RLE(), p.Instances[k].Mask)
		}
	}
}

func TestDataSimulateLabelMe(t *testing.T) {
	folder, err := simulated(t, "--count", "2", "--nuclei", "--labelme")
	require.NoError(t, err)
	require.NoFileExists(t, filepath.Join(folder, "instances.json"))
	_, objects := simulate.Nuclei(simulate.Options{Width: 160, Height: 128, Count: 8, Seed: 2})
	f, err := os.Open(filepath.Join(folder, "0002.json"))
	require.NoError(t, err)
	defer f.Close()
	p, err := coco.ReadLabelMe(f, coco.LabelMeReadOptions{})
	require.NoError(t, err)
	require.Equal(t, "0002.png", p.FileName)
	require.Len(t, p.Instances, len(objects))
	for k, o := range objects {
		require.Equal(t, "nucleus", p.Instances[k].Category)
		require.Equal(t, o.Mask.RLE(), p.Instances[k].Mask, "polygons of tolerance 0 lose no pixel")
	}
}

func TestDataSimulateRefuses(t *testing.T) {
	for _, flag := range []string{"--count", "--width", "--height", "--objects"} {
		_, err := simulated(t, flag, "0")
		require.ErrorContains(t, err, "must be at least 1")
	}
}

// What no memory could hold is refused in words before a picture is drawn.
func TestDataSimulateRefusesWhatIsTooLarge(t *testing.T) {
	for want, args := range map[string][]string{
		"--width 1000000000 --height 1000000000: at most 65535 pixels per side":                  {"--width", "1000000000", "--height", "1000000000", "--max-pixels", "-1"},
		"--width 9223372036854775807 --height 2: at most":                                        {"--width", "9223372036854775807", "--height", "2"},
		"a picture of 400000000 pixels, the limit is 100000000: raise it with --max-pixels":      {"--width", "20000", "--height", "20000"},
		"a picture of 20480 pixels, the limit is 20479: raise it with --max-pixels":              {"--max-pixels", "20479"},
		"--objects 1000000000000 on 160×128 pixels take about 2816000.0 GB of memory":            {"--objects", "1000000000000"},
		"--objects 1000 on 10000×10000 pixels take about 18.9 GB of memory, the limit is 8.0 GB": {"--objects", "1000", "--width", "10000", "--height", "10000"},
	} {
		folder, err := simulated(t, append(args, "--count", "1")...)
		require.ErrorContains(t, err, want)
		require.NoDirExists(t, folder)
	}
	largest := simulateOptions{draw: simulate.Options{Width: 10_000, Height: 10_000, Count: 8}}
	require.NoError(t, largest.checkSize())
	for _, limit := range []int{400_000_000, -1} {
		larger := simulateOptions{draw: simulate.Options{Width: 20_000, Height: 20_000, Count: 8}, maxPixels: limit}
		require.NoError(t, larger.checkSize())
	}
}
