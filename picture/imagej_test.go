package picture

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Files that ImageJ itself has saved (testdata/imagej/Make.java), to the sample.
func TestImageJ(t *testing.T) {
	const w, h = 9, 7
	deep := func(c, z, tm int) func(i int) float64 {
		return func(i int) float64 { return float64(4000*c + 1000*z + 300*tm + 10*(i/w) + i%w) }
	}
	byteAt := func(c, tm int) func(i int) float64 {
		return func(i int) float64 { return float64(c + tm + 10*(i/w) + i%w) }
	}
	for _, test := range []struct {
		name string
		o    Options
		want func(i int) float64
	}{
		{"hyperstack16.tif", Options{Channels: []string{"DAPI"}, Z: 2, Time: 2}, deep(0, 1, 1)},
		{"hyperstack16.tif", Options{Channels: []string{"anti-tubulin"}, MaxZ: true, Time: 1}, deep(1, 2, 0)},
		{"hyperstack16.tif", Options{Page: 4}, deep(1, 1, 0)},
		{"times8.tif", Options{Channels: []string{"anti-Tubulin"}, Time: 3}, byteAt(1, 2)},
		{"slices32.tif", Options{Z: 3}, deep(0, 2, 0)},
		{"same_names.tif", Options{Channels: []string{"2"}, Z: 2}, deep(1, 1, 0)},
		{"single16.tif", Options{}, deep(0, 0, 0)},
		{"inverted8.tif", Options{}, func(i int) float64 { return 255 - byteAt(0, 0)(i) }},
	} {
		p, err := Open(filepath.Join("testdata/imagej", test.name), test.o)
		require.NoError(t, err, test.name)
		require.Equal(t, [2]int{w, h}, [2]int{p.Bounds().Dx(), p.Bounds().Dy()})
		require.InDelta(t, 0.25, p.PixelSize[0], 1e-6, test.name)
		require.Empty(t, p.Warnings)
		for i, v := range samplesOf(t, p, 1) {
			require.Equal(t, test.want(i), v, "%s %+v: sample %d", test.name, test.o, i)
		}
	}
	p, err := Open("testdata/imagej/rgb.tif", Options{})
	require.NoError(t, err)
	for i := range w * h {
		require.Equal(t, []uint8{uint8(10*(i/w) + i%w), uint8(i % w), uint8(i / w)}, RGB(p)[3*i:][:3])
	}
	_, err = Open("testdata/imagej/hyperstack16.tif", Options{Channels: []string{"DAPI"}, MaxZ: true})
	require.ErrorContains(t, err, `12 pages: 2 channels (DAPI, anti-Tubulin), 3 slices, 2 times: choose a time with Options.Time`)
	require.ErrorContains(t, err, `page 2 9×7 C2 Z1 T1 "anti-Tubulin"`)
}

// Stacks that tifffile has written in several orders of their axes (testdata/axes/make.py).
func TestAxesOfTifffile(t *testing.T) {
	files, err := filepath.Glob("testdata/axes/*.tif")
	require.NoError(t, err)
	require.Len(t, files, 7)
	for _, file := range files {
		if strings.HasPrefix(filepath.Base(file), "rgb") {
			p, err := Open(file, Options{Z: 3, Time: 2})
			require.NoError(t, err)
			require.Equal(t, []uint8{21, 50, 200}, RGB(p)[:3])
			continue
		}
		gfp := "GFP"
		if strings.HasPrefix(filepath.Base(file), "shaped") {
			gfp = "2"
		}
		p, err := Open(file, Options{Channels: []string{gfp}, MaxZ: true, Time: 3})
		require.NoError(t, err, file)
		require.Equal(t, 1220.0, samplesOf(t, p, 1)[0], file)
		p, err = Open(file, Options{Channels: []string{"1"}, Z: 2, Time: 4})
		require.NoError(t, err, file)
		require.Equal(t, 130.0, samplesOf(t, p, 1)[0], file)
		_, err = Open(file, Options{Channels: []string{gfp}, MaxZ: true})
		require.ErrorContains(t, err, "3 slices, 4 times: choose a time with Options.Time; or", file)
	}
}
