package jpeg

import (
	"bytes"
	"image"
	stdjpeg "image/jpeg"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func pictures(t testing.TB) []string {
	files, err := filepath.Glob("../../picture/testdata/*.jpg")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	return files
}

// What image/jpeg reads is read alike, but for the rounding of the transform.
func TestAsTheStandardLibrary(t *testing.T) {
	for _, name := range pictures(t) {
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		want, err := stdjpeg.Decode(bytes.NewReader(data))
		if err != nil {
			continue
		}
		got, err := Decode(data)
		require.NoError(t, err, name)
		require.IsType(t, want, got, name)
		require.Equal(t, want.Bounds(), got.Bounds())
		w, h, err := Config(data)
		require.NoError(t, err)
		require.Equal(t, want.Bounds(), image.Rect(0, 0, w, h))
		for y := range h {
			for x := range w {
				a, b, c, d := want.At(x, y).RGBA()
				e, f, g, i := got.At(x, y).RGBA()
				for k, v := range [4]uint32{a, b, c, d} {
					require.InDelta(t, v>>8, [4]uint32{e, f, g, i}[k]>>8, 6, "%s (%d, %d)", name, x, y)
				}
			}
		}
	}
}

// Cut and damaged files are errors or pictures, and never panic.
func TestDamagedFiles(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, name := range pictures(t) {
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		for range 60 {
			bad := bytes.Clone(data[:r.IntN(len(data))])
			for range r.IntN(4) {
				if len(bad) > 0 {
					bad[r.IntN(len(bad))] ^= byte(1 << r.IntN(8))
				}
			}
			if w, h, err := Config(bad); err == nil && w*h < 1<<16 {
				_, _ = Decode(bad)
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, name := range pictures(f) {
		data, err := os.ReadFile(name)
		require.NoError(f, err)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if w, h, err := Config(data); err != nil || w*h > 1<<16 {
			return
		}
		if img, err := Decode(data); err == nil && img.Bounds().Empty() {
			t.Fatal("no pixels")
		}
	})
}
