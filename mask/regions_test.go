package mask

import (
	"image"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// check proves what Regions says of its rings, and returns them all.
func checkRegions(t *testing.T, b *Bitmap) (rings [][]float64) {
	t.Helper()
	pixels := 0.
	for _, part := range b.Regions() {
		require.NotEmpty(t, part.Outer)
		sum := 0.
		for i, ring := range append([][]float64{part.Outer}, part.Holes...) {
			seen := map[[2]float64]bool{}
			n, area := len(ring)/2, 0.
			for k := range n {
				at, next := [2]float64{ring[2*k], ring[2*k+1]}, [2]float64{ring[(2*k+2)%len(ring)], ring[(2*k+3)%len(ring)]}
				require.False(t, seen[at], "a ring that touches itself")
				seen[at] = true
				require.True(t, (at[0] == next[0]) != (at[1] == next[1]))
				area += at[0]*next[1] - next[0]*at[1]
			}
			require.Equal(t, i == 0, area > 0, "the outer ring runs clockwise, holes do not")
			sum += area / 2
			rings = append(rings, ring)
		}
		require.Positive(t, sum)
		one, err := FromRings(append([][]float64{part.Outer}, part.Holes...), b.Width, b.Height)
		require.NoError(t, err)
		require.Equal(t, sum, float64(one.Area()), "a region's area is that of its outer ring less its holes")
		pixels += sum
	}
	require.Equal(t, float64(b.Area()), pixels)
	back, err := FromRings(rings, b.Width, b.Height)
	require.NoError(t, err)
	require.Equal(t, b.RLE(), back)
	return rings
}

func TestRegions(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 3))
	for range 2000 {
		b := NewBitmap(1+rng.IntN(70), 1+rng.IntN(9))
		share := rng.Float64()
		for i := range b.Width * b.Height {
			b.Set(i%b.Width, i/b.Width, rng.Float64() < share)
		}
		checkRegions(t, b)
	}
	require.Empty(t, NewBitmap(5, 5).Regions())

	diamond := NewBitmap(200, 200) // four pixels around one that touch at corners
	for _, p := range []image.Point{{101, 100}, {100, 101}, {102, 101}, {101, 102}} {
		diamond.Set(p.X, p.Y, true)
	}
	require.Len(t, diamond.Regions(), 4)
	require.Len(t, checkRegions(t, diamond), 4)

	closed := NewBitmap(10, 10) // a ring whose ends touch at a corner
	closed.Fill(image.Rect(1, 1, 6, 2))
	closed.Fill(image.Rect(1, 1, 2, 6))
	closed.Fill(image.Rect(1, 5, 5, 6))
	closed.Fill(image.Rect(5, 1, 6, 5))
	parts := closed.Regions()
	require.Len(t, parts, 1)
	require.Len(t, parts[0].Holes, 1)
}

func TestFromRings(t *testing.T) {
	slanted := []float64{1, 1, 9, 1, 9, 9}
	r, err := FromRings([][]float64{slanted, append(slanted, 1, 1), {3, 3}, nil}, 10, 10)
	require.NoError(t, err)
	require.Zero(t, r.Area(), "twice is not at all")
	r, err = FromRings([][]float64{slanted}, 10, 10)
	require.NoError(t, err)
	m := r.Bitmap()
	for y := range 10 {
		for x := range 10 {
			require.Equal(t, x < 9 && y >= 1 && x > y, m.Get(x, y), "%d %d", x, y)
		}
	}
	r, err = FromRings([][]float64{{-1e6, -1e6, 1e6, -1e6, 1e6, 1e6, -1e6, 1e6}}, 7, 5)
	require.NoError(t, err)
	require.Equal(t, 35, r.Area())
	for _, bad := range [][]float64{{1, 2, 3}, {1, 2, 1e30, 4, 5, 6}, {0, 0, nan(), 1, 1, 1}} {
		_, err = FromRings([][]float64{bad}, 5, 5)
		require.ErrorContains(t, err, "mask: ring 0")
	}
	_, err = FromRings(nil, 1<<20, 1<<20)
	require.Error(t, err)
}

func nan() float64 { z := 0.0; return z / z }
