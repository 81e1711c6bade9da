package mask_test

import (
	"fmt"
	"image"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/mask/internal/plain"
)

// same requires that two masks have the same pixels, and that got keeps the rules of its fields.
func same(t *testing.T, want, got *mask.Bitmap, about ...any) {
	t.Helper()
	require.NoError(t, got.Validate(), about...)
	require.Equal(t, want.Bounds(), got.Bounds(), about...)
	for y := range want.Height {
		for x := range want.Width {
			if want.Get(x, y) != got.Get(x, y) {
				require.Fail(t, fmt.Sprintf("pixel %d, %d is %v", x, y, got.Get(x, y)), about...)
			}
		}
	}
	require.Equal(t, want.Area(), got.Area(), about...) // also counts bits outside Rect
	require.True(t, want.Equal(got) && got.Equal(want), about...)
}

// eachMask runs f on random masks of all sorts of sizes around word borders, stored whole and
// in part.
func eachMask(t *testing.T, f func(rng *rand.Rand, b *mask.Bitmap)) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	sizes := []int{1, 2, 5, 63, 64, 65, 127, 128, 130, 200}
	for _, width := range sizes {
		for _, height := range sizes {
			for i := range 4 {
				b := plain.Random(rng, width, height)
				if i > 0 {
					b = plain.Stored(rng, b)
				}
				f(rng, b)
			}
		}
	}
}

func TestConversions(t *testing.T) {
	eachMask(t, func(_ *rand.Rand, b *mask.Bitmap) {
		r := b.RLE()
		require.NoError(t, r.Validate())
		require.Equal(t, plain.Counts(b), r.Counts)
		same(t, b, r.Bitmap())
		parsed, err := mask.ParseRLE(b.Width, b.Height, r.String())
		require.NoError(t, err)
		require.Equal(t, r, parsed)
		require.Equal(t, b.Area(), r.Area())
		same(t, b, mask.FromImage(b.Gray()))
		same(t, b, mask.FromImage(b))

		box := plain.Box(b)
		require.Equal(t, box, b.Box())
		require.Equal(t, box.Empty(), b.Empty())
		x, y, w, h := r.BBox()
		require.Equal(t, [4]float64{float64(box.Min.X), float64(box.Min.Y), float64(box.Dx()), float64(box.Dy())}, [4]float64{x, y, w, h})
	})
}

func TestTransforms(t *testing.T) {
	eachMask(t, func(rng *rand.Rand, b *mask.Bitmap) {
		w, h := b.Width, b.Height
		same(t, plain.Build(w, h, func(x, y int) bool { return b.Get(w-1-x, y) }), b.FlipHorizontal())
		same(t, plain.Build(w, h, func(x, y int) bool { return b.Get(x, h-1-y) }), b.FlipVertical())
		same(t, plain.Build(h, w, func(x, y int) bool { return b.Get(y, x) }), b.Transpose())
		same(t, plain.Build(h, w, func(x, y int) bool { return b.Get(y, h-1-x) }), b.Rotate90())
		same(t, plain.Build(w, h, func(x, y int) bool { return b.Get(w-1-x, h-1-y) }), b.Rotate180())
		same(t, plain.Build(h, w, func(x, y int) bool { return b.Get(w-1-y, x) }), b.Rotate270())

		x, y := rng.IntN(3*w)-w, rng.IntN(3*h)-h
		r := image.Rect(x, y, x+rng.IntN(2*w), y+rng.IntN(2*h))
		same(t, plain.Build(r.Dx(), r.Dy(), func(x, y int) bool { return b.Get(r.Min.X+x, r.Min.Y+y) }), b.Crop(r))

		to := image.Pt(1+rng.IntN(2*w), 1+rng.IntN(2*h))
		want := plain.Build(to.X, to.Y, func(x, y int) bool {
			// In halves of an output pixel, so that centres are whole numbers.
			return b.Get((2*x+1)*w/(2*to.X), (2*y+1)*h/(2*to.Y))
		})
		same(t, want, b.Resize(to.X, to.Y))

		filled := mask.NewBitmap(w, h)
		filled.Fill(r)
		same(t, plain.Build(w, h, func(x, y int) bool { return image.Pt(x, y).In(r) }), filled)
	})
}

func TestMorphology(t *testing.T) {
	all := func(b *mask.Bitmap, x, y, d int, v bool) bool {
		// One pixel beyond the border stands for all that lie outside.
		for j := max(y-d, -1); j <= min(y+d, b.Height); j++ {
			for i := max(x-d, -1); i <= min(x+d, b.Width); i++ {
				if b.Get(i, j) != v {
					return false
				}
			}
		}
		return true
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for _, size := range [][2]int{{1, 1}, {7, 3}, {64, 20}, {65, 33}, {130, 40}, {200, 30}} {
		for range 6 {
			b := plain.Stored(rng, plain.Random(rng, size[0], size[1]))
			for _, d := range []int{0, 1, 2, 3, 7, 16, 64, 500} {
				eroded := plain.Build(b.Width, b.Height, func(x, y int) bool { return all(b, x, y, d, true) })
				same(t, eroded, b.Erode(d), "%v %d", size, d)
				same(t, plain.Build(b.Width, b.Height, func(x, y int) bool { return !all(b, x, y, d, false) }), b.Dilate(d), "%v %d", size, d)
				same(t, plain.Build(b.Width, b.Height, func(x, y int) bool { return b.Get(x, y) && !eroded.Get(x, y) }), b.Boundary(d))
			}
		}
	}
}

func TestBoundaryDistance(t *testing.T) {
	// round(0.02·diagonal) by hand: 640×480 has diagonal 800.
	for _, c := range []struct{ w, h, want int }{{640, 480, 16}, {10, 10, 1}, {1, 1, 1}, {300, 400, 10}, {75, 100, 2}, {1024, 2048, 46}} {
		require.Equal(t, c.want, mask.BoundaryDistance(c.w, c.h, mask.BoundaryRatio), "%+v", c)
	}
}

func TestCombine(t *testing.T) {
	eachMask(t, func(rng *rand.Rand, a *mask.Bitmap) {
		b := plain.Stored(rng, plain.Random(rng, a.Width, a.Height))
		union, err := mask.Union(a, b)
		require.NoError(t, err)
		common, err := mask.Intersection(a, b)
		require.NoError(t, err)
		rest, err := mask.Difference(a, b)
		require.NoError(t, err)
		same(t, plain.Build(a.Width, a.Height, func(x, y int) bool { return a.Get(x, y) || b.Get(x, y) }), union)
		same(t, plain.Build(a.Width, a.Height, func(x, y int) bool { return a.Get(x, y) && b.Get(x, y) }), common)
		same(t, plain.Build(a.Width, a.Height, func(x, y int) bool { return a.Get(x, y) && !b.Get(x, y) }), rest)

		merged, err := mask.Merge([]mask.RLE{a.RLE(), b.RLE()}, false)
		require.NoError(t, err)
		require.Equal(t, union.RLE(), merged)
		merged, err = mask.Merge([]mask.RLE{a.RLE(), b.RLE(), a.RLE()}, true)
		require.NoError(t, err)
		require.Equal(t, common.RLE(), merged)
		merged, err = mask.Merge([]mask.RLE{rest.RLE(), common.RLE(), a.RLE(), b.RLE()}, false)
		require.NoError(t, err)
		require.Equal(t, union.RLE(), merged)

		want := 0.
		if common.Area() > 0 {
			want = float64(common.Area()) / float64(union.Area())
		}
		got, err := a.IoU(b)
		require.NoError(t, err)
		require.Equal(t, want, got)
		iou, err := mask.IoU([]mask.RLE{a.RLE()}, []mask.RLE{b.RLE(), b.RLE()}, []bool{false, true})
		require.NoError(t, err)
		require.Equal(t, want, iou[0][0])
		if common.Area() > 0 {
			want = float64(common.Area()) / float64(a.Area())
		}
		require.Equal(t, want, iou[0][1])
	})
}

func TestFromPolygonAgainstDrawing(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for i := range 3000 {
		width, height := 1+rng.IntN(40), 1+rng.IntN(40)
		polygon := make([]float64, 2*(3+rng.IntN(8)))
		step := []float64{0, .01, .1, .2, .5, 1}[i%6]
		for k := range polygon {
			polygon[k] = (rng.Float64()*2 - .5) * float64([2]int{width, height}[k%2])
			if step > 0 {
				polygon[k] = math.Round(polygon[k]/step) * step
			}
			if k > 1 && rng.IntN(5) == 0 {
				polygon[k] = polygon[k-2] // straight and repeated edges
			}
		}
		got, err := mask.FromPolygon(polygon, width, height)
		require.NoError(t, err)
		require.Equal(t, plain.Polygon(polygon, width, height).RLE(), got, "%v on %d×%d", polygon, width, height)
	}
}

func TestPolygonsRoundTrip(t *testing.T) {
	eachMask(t, func(_ *rand.Rand, b *mask.Bitmap) {
		polygons := b.Polygons(0)
		r, err := mask.FromPolygons(polygons, b.Width, b.Height)
		require.NoError(t, err)
		require.Equal(t, b.RLE(), r)
		for _, p := range b.Parts(0) {
			require.Positive(t, signedArea(p.Outer))
			area := signedArea(p.Outer)
			for _, h := range p.Holes {
				require.Negative(t, signedArea(h))
				area += signedArea(h)
			}
			own, err := mask.FromPolygon(p.Polygon(), b.Width, b.Height)
			require.NoError(t, err)
			require.EqualValues(t, area, own.Area())
			require.InDelta(t, area, signedArea(p.Polygon()), 1e-9)
		}
	})
}

// signedArea is positive for a ring that is clockwise on a screen.
func signedArea(ring []float64) float64 {
	sum := 0.
	for i, n := 0, len(ring); i < n; i += 2 {
		sum += ring[i]*ring[(i+3)%n] - ring[(i+2)%n]*ring[i+1]
	}
	return sum / 2
}

func TestLabelMapRoundTrip(t *testing.T) {
	eachMask(t, func(rng *rand.Rand, a *mask.Bitmap) {
		masks := []*mask.Bitmap{a, plain.Random(rng, a.Width, a.Height), plain.Random(rng, a.Width, a.Height)}
		picture, err := mask.LabelMap(a.Width, a.Height, masks)
		require.NoError(t, err)
		labels, split, err := mask.SplitLabelMap(picture)
		require.NoError(t, err)
		got := map[uint16]mask.RLE{}
		for i, v := range labels {
			got[v] = split[i]
		}
		for i, m := range masks {
			for _, above := range masks[i+1:] {
				m, err = mask.Difference(m, above)
				require.NoError(t, err)
			}
			r, found := got[uint16(i+1)]
			require.Equal(t, !m.Empty(), found)
			if found {
				require.Equal(t, m.RLE(), r)
			}
		}
	})
}
