package mask_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/mask/internal/plain"
)

// drawn reads a mask from lines of signs, # being set.
func drawn(lines ...string) *mask.Bitmap {
	return plain.Build(len(lines[0]), len(lines), func(x, y int) bool { return lines[y][x] == '#' })
}

func TestParts(t *testing.T) {
	type rings struct {
		Outer []float64
		Holes [][]float64
	}
	for name, c := range map[string]struct {
		mask *mask.Bitmap
		want []rings
	}{
		"one pixel": {drawn("...", ".#."), []rings{{Outer: []float64{1, 1, 2, 1, 2, 2, 1, 2}}}},
		"corners connect pixels": {
			drawn(
				"#..",
				".#.",
				"#.."),
			[]rings{{Outer: []float64{0, 0, 1, 0, 1, 1, 2, 1, 2, 2, 1, 2, 1, 3, 0, 3, 0, 2, 1, 2, 1, 1, 0, 1}}},
		},
		"corners do not connect holes": {
			drawn(
				"####",
				"#.##",
				"##.#",
				"####"),
			[]rings{{
				Outer: []float64{0, 0, 4, 0, 4, 4, 0, 4},
				Holes: [][]float64{{1, 1, 1, 2, 2, 2, 2, 1}, {2, 2, 2, 3, 3, 3, 3, 2}},
			}},
		},
		"a part in a hole of another": {
			drawn(
				"#####",
				"#...#",
				"#.#.#",
				"#...#",
				"#####"),
			[]rings{
				{Outer: []float64{0, 0, 5, 0, 5, 5, 0, 5}, Holes: [][]float64{{1, 1, 1, 4, 4, 4, 4, 1}}},
				{Outer: []float64{2, 2, 3, 2, 3, 3, 2, 3}},
			},
		},
		"a hole below a hole": {
			drawn(
				"###",
				"#.#",
				"###",
				"#.#",
				"###"),
			[]rings{{
				Outer: []float64{0, 0, 3, 0, 3, 5, 0, 5},
				Holes: [][]float64{{1, 1, 1, 2, 2, 2, 2, 1}, {1, 3, 1, 4, 2, 4, 2, 3}},
			}},
		},
		"a bay is not a hole": {
			drawn(
				"###",
				"#.#"),
			[]rings{{Outer: []float64{0, 0, 3, 0, 3, 2, 2, 2, 2, 1, 1, 1, 1, 2, 0, 2}}},
		},
		"nothing": {mask.NewBitmap(4, 4), nil},
	} {
		var got []rings
		for _, p := range c.mask.Parts(0) {
			got = append(got, rings{p.Outer, p.Holes})
		}
		require.Empty(t, cmp.Diff(c.want, got), name)
	}
}

func TestPolygonOfOwnPart(t *testing.T) {
	// A part that people put together themselves has no bridges yet.
	p := mask.Part{
		Outer: []float64{0, 0, 8, 0, 8, 8, 0, 8},
		Holes: [][]float64{{2, 2, 2, 4, 4, 4, 4, 2}, nil, {5, 5, 5, 7, 7, 7, 7, 5}},
	}
	r, err := mask.FromPolygon(p.Polygon(), 9, 9)
	require.NoError(t, err)
	require.Equal(t, drawn(
		"########.",
		"########.",
		"##..####.",
		"##..####.",
		"########.",
		"#####..#.",
		"#####..#.",
		"########.",
		".........").RLE(), r)
}

func TestPolygonWithoutSomeHoles(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for range 200 {
		b := plain.Random(rng, 30, 30)
		for _, p := range b.Parts(0) {
			area := signedArea(p.Outer)
			rng.Shuffle(len(p.Holes), func(i, j int) { p.Holes[i], p.Holes[j] = p.Holes[j], p.Holes[i] })
			p.Holes = p.Holes[:rng.IntN(len(p.Holes)+1)]
			for _, h := range p.Holes {
				area += signedArea(h)
			}
			r, err := mask.FromPolygon(p.Polygon(), 30, 30)
			require.NoError(t, err)
			require.EqualValues(t, area, r.Area())
		}
	}
}

func TestSimplifiedHolesStayTied(t *testing.T) {
	// The small hole, which simplification drops, carries the large one below it.
	lines := []string{strings.Repeat("#", 30)}
	for y := range 28 {
		line := []byte(strings.Repeat("#", 30))
		switch {
		case y == 2:
			line[10] = '.'
		case y > 8 && y < 24:
			copy(line[6:24], strings.Repeat(".", 18))
		}
		lines = append(lines, string(line))
	}
	lines = append(lines, strings.Repeat("#", 30))
	b := drawn(lines...)
	require.Len(t, b.Parts(0)[0].Holes, 2)
	parts := b.Parts(2)
	require.Len(t, parts[0].Holes, 1)
	r, err := mask.FromPolygons(b.Polygons(2), b.Width, b.Height)
	require.NoError(t, err)
	b.Set(10, 3, true)
	require.Equal(t, b.RLE(), r)
}
