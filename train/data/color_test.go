package data

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/closetest"
)

func noise(n int) Sample {
	r := rand.New(rand.NewPCG(5, 6))
	s := Sample{ID: "noise", Width: n, Height: 1, RGB: make([]uint8, 3*n)}
	for i := range s.RGB {
		s.RGB[i] = uint8(60 + r.IntN(130))
	}
	return s
}

func TestColorJitterLeavesTheRestAlone(t *testing.T) {
	s := drawn(30, 20)
	before := slices.Clone(s.RGB)
	out := apply(t, ColorJitter{0.4, 0.4, 0.4, 0.1}, s, 1)
	require.Equal(t, before, s.RGB)
	require.NotEqual(t, before, out.RGB)
	require.Equal(t, s.Objects, out.Objects)
	require.Equal(t, s, apply(t, ColorJitter{}, s, 1))
}

func TestGreysStayGrey(t *testing.T) {
	s := Sample{Width: 256, Height: 1}
	for v := range 256 {
		s.RGB = append(s.RGB, uint8(v), uint8(v), uint8(v))
	}
	for seed := range uint64(20) {
		require.Equal(t, s.RGB, apply(t, ColorJitter{Saturation: 0.9, Hue: 0.5}, s, seed).RGB)
		out := apply(t, ColorJitter{0.5, 0.5, 0.5, 0.5}, s, seed).RGB
		for i := 0; i < len(out); i += 3 {
			require.InDelta(t, out[i], out[i+1], 1)
			require.InDelta(t, out[i], out[i+2], 1)
		}
	}
}

// Each property against its definition, written down once more for single pixels.
func TestColorJitterAgainstItsDefinition(t *testing.T) {
	s := noise(500)
	l := func(p []uint8) float64 { return 0.299*float64(p[0]) + 0.587*float64(p[1]) + 0.114*float64(p[2]) }
	mean := 0.0
	for i := 0; i < len(s.RGB); i += 3 {
		mean += l(s.RGB[i:]) / 500
	}
	for name, test := range map[string]struct {
		jitter ColorJitter
		pixel  func(p []uint8, k int, amount float64) float64
		draws  int // that come before the one that matters
	}{
		"brightness": {ColorJitter{Brightness: 0.3}, func(p []uint8, k int, f float64) float64 { return f * float64(p[k]) }, 0},
		"contrast":   {ColorJitter{Contrast: 0.3}, func(p []uint8, k int, f float64) float64 { return mean + f*(float64(p[k])-mean) }, 1},
		"saturation": {ColorJitter{Saturation: 0.3}, func(p []uint8, k int, f float64) float64 { return l(p) + f*(float64(p[k])-l(p)) }, 2},
	} {
		for seed := range uint64(10) {
			r := rand.New(rand.NewPCG(seed, 0))
			for range test.draws {
				r.Float64()
			}
			amount := 1 + 0.3*(2*r.Float64()-1)
			out := apply(t, test.jitter, s, seed)
			for i := range out.RGB {
				want := min(max(test.pixel(s.RGB[i/3*3:], i%3, amount), 0), 255)
				require.InDelta(t, want, out.RGB[i], 0.501, "%s, seed %d", name, seed)
			}
		}
	}
}

func TestHueTurns(t *testing.T) {
	apply := func(m [3][3]float64, x [3]float64) (y [3]float64) {
		for i := range y {
			y[i] = m[i][0]*x[0] + m[i][1]*x[1] + m[i][2]*x[2]
		}
		return y
	}
	near := func(want, got [3]float64) {
		t.Helper()
		closetest.Slices(t, want[:], got[:], 1e-9)
	}
	x := [3]float64{180, 90, 20}
	l := func(x [3]float64) float64 { return luma[0]*x[0] + luma[1]*x[1] + luma[2]*x[2] }
	near(x, apply(chroma(1, 0), x))
	near(x, apply(chroma(1, 2*math.Pi), x))
	near([3]float64{l(x), l(x), l(x)}, apply(chroma(0, 1), x))
	require.InDelta(t, l(x), l(apply(chroma(1.5, 0.7), x)), 1e-9)
	near(apply(chroma(1, 0.7), x), apply(chroma(1, 0.3), apply(chroma(1, 0.4), x)))
	// A third of a circle puts red's excess where green's is.
	red := apply(chroma(1, 2*math.Pi/3), [3]float64{1, 0, 0})
	require.Greater(t, red[1], red[0])
	require.InDelta(t, red[0], red[2], 1e-9)
}
