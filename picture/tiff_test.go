package picture

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"image"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/closetest"
)

// samplesOf returns the samples of a picture as numbers, n per pixel.
func samplesOf(t *testing.T, img image.Image, n int) []float64 {
	t.Helper()
	r := rasterOf(img)
	var out []float64
	add := func(i int, v float64) {
		if n == r.Samples || i%r.Samples == 0 {
			out = append(out, v)
		}
	}
	for i, v := range r.U8 {
		add(i, float64(v))
	}
	for i, v := range r.U16 {
		add(i, float64(v))
	}
	for i, v := range r.F64 {
		add(i, v)
	}
	return out
}

func digest(samples []float64) string {
	h := sha256.New()
	for _, v := range samples {
		bits := math.Float64bits(v)
		if v != v {
			bits = 0x7ff8000000000000
		}
		_ = binary.Write(h, binary.LittleEndian, bits)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Every file that real programs wrote, to the sample (testdata/tiff/make.py).
func TestTIFFToTheSample(t *testing.T) {
	type want struct {
		Width, Height, Samples int
		SHA256                 string
		First                  []float64
		Page, Z                int
		MaxZ                   bool
		Channels               []string
		Pixel                  float64
	}
	var wants map[string][]want
	text, err := os.ReadFile("testdata/tiff/want.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &wants))
	require.Greater(t, len(wants), 70)
	for name, list := range wants {
		for i, w := range list {
			t.Run(fmt.Sprintf("%s/%d", name, i), func(t *testing.T) {
				p, err := Open(filepath.Join("testdata/tiff", name), Options{Page: w.Page, Z: w.Z, MaxZ: w.MaxZ, Channels: w.Channels})
				require.NoError(t, err)
				require.Equal(t, image.Rect(0, 0, w.Width, w.Height), p.Bounds())
				got := samplesOf(t, p, w.Samples)
				closetest.Slices(t, w.First, got[:len(w.First)], 0)
				require.Equal(t, w.SHA256, digest(got))
				if w.Pixel > 0 {
					require.InEpsilon(t, w.Pixel, p.PixelSize[0], 1e-5)
				}
			})
		}
	}
}

// What is coloured, or of few bits, against what PIL reads.
func TestTIFFAsPIL(t *testing.T) {
	wants, err := filepath.Glob("testdata/tiff/*.want.png")
	require.NoError(t, err)
	require.Greater(t, len(wants), 35)
	for _, want := range wants {
		name := strings.TrimSuffix(want, ".want.png")
		t.Run(filepath.Base(name), func(t *testing.T) {
			allowed := 0
			switch {
			case strings.Contains(name, "jpeg"):
				allowed = 3
			case strings.Contains(name, "ycbcr"):
				allowed = 1
			case strings.Contains(name, "lab"): // colour management clips saturated colours in another way
				allowed = 15
			}
			got, err := Open(name, Options{})
			require.NoError(t, err)
			expected, err := Open(want, Options{})
			require.NoError(t, err)
			require.Equal(t, expected.Bounds(), got.Bounds())
			most, _ := worst(t, RGB(got), RGB(expected))
			require.LessOrEqual(t, most, allowed)
		})
	}
}
