package mask_test

import (
	"image"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/mask/internal/plain"
)

// disc returns a small object on a picture that has 12.5 MB of bits.
func disc() *mask.Bitmap {
	m := mask.NewBitmapIn(10_000, 10_000, image.Rect(9_030, 8_110, 9_090, 8_170))
	for y := -25; y <= 25; y++ {
		for x := -25; x <= 25; x++ {
			m.Set(9_060+x, 8_140+y, x*x+y*y <= 625 && x*x+y*y >= 100)
		}
	}
	return m
}

// Everything that is done to a small object of a large picture takes memory for the object.
func TestSmallObjectOfALargePicture(t *testing.T) {
	m := disc()
	box := image.Rect(9_035, 8_115, 9_086, 8_166)
	require.Equal(t, box, m.Box())
	require.Equal(t, image.Rect(0, 0, 10_000, 10_000), m.Bounds())
	small := func(about string, got *mask.Bitmap) {
		require.NoError(t, got.Validate(), about)
		require.False(t, got.Empty(), about)
		require.LessOrEqual(t, len(got.Words), 400, about)
	}
	r := m.RLE()
	small("run lengths", r.Bitmap())
	require.True(t, r.Bitmap().Equal(m))
	for about, got := range map[string]*mask.Bitmap{
		"flip": m.FlipHorizontal(), "upside down": m.FlipVertical(), "transpose": m.Transpose(), "quarter": m.Rotate90(), "half": m.Rotate180(),
		"three quarters": m.Rotate270(), "crop": m.Crop(image.Rect(9_000, 8_000, 10_000, 9_000)), "pad": m.Crop(image.Rect(-9_000, -5_000, 30_000, 30_000)),
		"resize": m.Resize(20_000, 5_000), "erode": m.Erode(2), "dilate": m.Dilate(3), "boundary": m.Boundary(1), "clone": m.Clone(),
	} {
		small(about, got)
	}
	moved := m.Crop(m.Bounds().Add(image.Pt(10, 10)))
	for _, combine := range []func(a, b *mask.Bitmap) (*mask.Bitmap, error){mask.Union, mask.Intersection, mask.Difference} {
		got, err := combine(m, moved)
		require.NoError(t, err)
		small("combined", got)
	}
	parts := m.Parts(0)
	require.Len(t, parts, 1)
	require.Len(t, parts[0].Holes, 1)
	for i, v := range parts[0].Outer {
		require.LessOrEqual(t, []int{box.Min.X, box.Min.Y}[i%2], int(v))
		require.GreaterOrEqual(t, []int{box.Max.X, box.Max.Y}[i%2], int(v))
	}
	again, err := mask.FromPolygons(m.Polygons(0), m.Width, m.Height)
	require.NoError(t, err)
	require.Equal(t, r, again)
	require.Zero(t, testing.AllocsPerRun(5, func() {
		for range m.Runs() {
		}
	}))
}

func TestRuns(t *testing.T) {
	eachMask(t, func(_ *rand.Rand, b *mask.Bitmap) {
		got := mask.NewBitmap(b.Width, b.Height)
		last := mask.Run{Y: -1}
		for r := range b.Runs() {
			require.True(t, r.X0 < r.X1 && (r.Y > last.Y || r.X0 > last.X1), "%v follows %v", r, last)
			got.Fill(image.Rect(r.X0, r.Y, r.X1, r.Y+1))
			last = r
		}
		same(t, b, got)
		for r := range b.Runs() {
			require.True(t, b.Get(r.X0, r.Y))
			break
		}
		for range b.Row(-1) {
			t.Fatal("a row above the mask has pixels")
		}
		for range b.Row(b.Height) {
			t.Fatal("a row below the mask has pixels")
		}
	})
}

// A mask stores more where it is written to.
func TestWritingOutsideRect(t *testing.T) {
	eachMask(t, func(rng *rand.Rand, b *mask.Bitmap) {
		want := plain.Build(b.Width, b.Height, b.Get)
		got := plain.Stored(rng, b)
		for range 5 {
			x, y, v := rng.IntN(2*b.Width)-b.Width/2, rng.IntN(2*b.Height)-b.Height/2, rng.IntN(3) > 0
			want.Set(x, y, v)
			got.Set(x, y, v)
			same(t, want, got)
		}
		r := image.Rect(rng.IntN(b.Width), rng.IntN(b.Height), rng.IntN(2*b.Width), rng.IntN(2*b.Height))
		want.Fill(r)
		got.Fill(r)
		same(t, want, got)
		got.Grow(got.Bounds())
		require.Equal(t, want, got)

		zero := &mask.Bitmap{Width: b.Width, Height: b.Height}
		for y := range b.Height {
			for x := range b.Width {
				zero.Set(b.Width-1-x, y, b.Get(b.Width-1-x, y))
			}
		}
		same(t, b, zero)
	})
	// Setting pixel by pixel copies what is stored only now and then.
	m := &mask.Bitmap{Width: 10_000, Height: 10_000}
	require.Less(t, testing.AllocsPerRun(1, func() {
		*m = mask.Bitmap{Width: 10_000, Height: 10_000}
		for i := range 2_000 {
			m.Set(5_000+i/10, 5_000+i, true)
		}
	}), 40.)
	require.Less(t, len(m.Words), 40_000)
}

func TestEqualWhateverIsStored(t *testing.T) {
	eachMask(t, func(rng *rand.Rand, b *mask.Bitmap) {
		other := plain.Stored(rng, b)
		require.True(t, b.Equal(other))
		x, y := rng.IntN(b.Width), rng.IntN(b.Height)
		other.Set(x, y, !other.Get(x, y))
		require.False(t, b.Equal(other))
		require.False(t, other.Equal(b))
	})
	require.False(t, mask.NewBitmap(3, 4).Equal(mask.NewBitmap(4, 3)))
}
