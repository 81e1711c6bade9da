package mask_test

import (
	"image"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/mask/internal/plain"
)

func TestParseRLERejects(t *testing.T) {
	for name, c := range map[string]struct {
		width, height int
		s, want       string
	}{
		"no runs":             {2, 2, "", "0 runs cover 0 of the 4 pixels"},
		"too short":           {2, 2, "3", "cover 3 of the 4"},
		"too long":            {2, 2, "5", "run 0 of 1 ends at pixel 5"},
		"foreign character":   {2, 2, "1!3", "byte 1"},
		"not ASCII":           {2, 2, "1\xff3", "byte 1"},
		"zero byte":           {2, 2, "4\x00", "byte 1"},
		"truncated number":    {2, 2, "1P", "starts at byte 1"},
		"overlong number":     {2, 2, "1PPPPPPPP0", "longer than 7"},
		"negative run":        {2, 2, "1O3", "run 1, at byte 1, has length -1"},
		"negative difference": {2, 2, "111N", "run 3, at byte 3, has length -1"},
		"beyond 32 bits":      {2, 2, "oooooo?", "has length 17179869183"},
		"negative width":      {-2, 2, "4", "negative size"},
		"negative height":     {2, -2, "4", "negative size"},
		"huge picture":        {1e9, 1e9, "4", "more than"},
		"overflowing picture": {math.MaxInt, 3, "4", "more than"},
		"large but wrong":     {65535, 65537, "4", "cover 4 of the 4294967295"},
	} {
		r, err := mask.ParseRLE(c.width, c.height, c.s)
		require.ErrorContains(t, err, c.want, name)
		require.Zero(t, r, name)
	}
}

func TestParseRLEAllocation(t *testing.T) {
	for _, size := range [][2]int{{1e9, 1e9}, {65535, 65537}, {math.MaxInt, math.MaxInt}} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := mask.ParseRLE(size[0], size[1], "0123456789")
		runtime.ReadMemStats(&after)
		require.Error(t, err)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(20_000), "%v", size)
	}
}

func TestLargestMask(t *testing.T) {
	// All but the last of 1<<32 - 1 pixels, as runs only.
	r := mask.RLE{Width: 65535, Height: 65537, Counts: []uint32{0, math.MaxUint32 - 1, 1}}
	require.NoError(t, r.Validate())
	parsed, err := mask.ParseRLE(r.Width, r.Height, r.String())
	require.NoError(t, err)
	require.Equal(t, r, parsed)
	require.Equal(t, math.MaxUint32-1, r.Area())
	_, _, w, h := r.BBox()
	require.Equal(t, [2]float64{65535, 65537}, [2]float64{w, h})
	iou, err := mask.IoU([]mask.RLE{r}, []mask.RLE{r}, nil)
	require.NoError(t, err)
	require.Equal(t, [][]float64{{1}}, iou)
}

func TestValidateRejects(t *testing.T) {
	for name, r := range map[string]mask.RLE{
		"short":    {Width: 3, Height: 3, Counts: []uint32{4, 4}},
		"long":     {Width: 3, Height: 3, Counts: []uint32{4, 6}},
		"wraps":    {Width: 3, Height: 3, Counts: []uint32{math.MaxUint32, 10}},
		"none":     {Width: 3, Height: 3},
		"negative": {Width: -3, Height: -3, Counts: []uint32{9}},
		"huge":     {Width: 1 << 40, Height: 1 << 40, Counts: []uint32{9}},
	} {
		require.Error(t, r.Validate(), name)
		good := mask.RLE{Width: r.Width, Height: r.Height, Counts: []uint32{9}}
		_, err := mask.Merge([]mask.RLE{good, r}, false)
		require.Error(t, err, name)
		_, err = mask.IoU([]mask.RLE{r}, nil, nil)
		require.ErrorContains(t, err, "detection 0", name)
		_, err = mask.IoU(nil, []mask.RLE{r}, nil)
		require.ErrorContains(t, err, "ground truth 0", name)
	}
}

func TestZeroRuns(t *testing.T) {
	// Runs of length zero are legal and mean nothing.
	odd := mask.RLE{Width: 2, Height: 4, Counts: []uint32{1, 0, 1, 2, 0, 1, 0, 0, 3, 0}}
	plain := mask.RLE{Width: 2, Height: 4, Counts: []uint32{2, 3, 3}}
	require.NoError(t, odd.Validate())
	require.Equal(t, plain, odd.Bitmap().RLE())
	require.Equal(t, plain.Area(), odd.Area())
	x, y, w, h := odd.BBox()
	require.Equal(t, [4]float64{0, 0, 2, 4}, [4]float64{x, y, w, h})
	merged, err := mask.Merge([]mask.RLE{odd, plain, odd}, true)
	require.NoError(t, err)
	require.Equal(t, plain, merged)
	iou, err := mask.IoU([]mask.RLE{odd}, []mask.RLE{plain}, nil)
	require.NoError(t, err)
	require.Equal(t, 1., iou[0][0])
	parsed, err := mask.ParseRLE(2, 4, odd.String())
	require.NoError(t, err)
	require.Equal(t, odd, parsed)
}

func TestFromPolygonRejects(t *testing.T) {
	for name, c := range map[string]struct {
		polygon       []float64
		width, height int
		want          string
	}{
		"none":       {nil, 9, 9, "0 points"},
		"one point":  {[]float64{1, 2}, 9, 9, "1 points"},
		"two points": {[]float64{1, 2, 3, 4}, 9, 9, "2 points"},
		"odd":        {[]float64{1, 2, 3, 4, 5, 6, 7}, 9, 9, "7 coordinates"},
		"NaN":        {[]float64{1, 2, math.NaN(), 4, 5, 6}, 9, 9, "coordinate 2 is NaN"},
		"Inf":        {[]float64{1, 2, 3, 4, 5, math.Inf(-1)}, 9, 9, "coordinate 5 is -Inf"},
		"far":        {[]float64{1e300, 2, 3, 4, 5, 6}, 9, 9, "coordinate 0 is 1e+300"},
		"negative":   {[]float64{1, 2, 3, 4, 5, 6}, -9, 9, "negative size"},
		"huge":       {[]float64{1, 2, 3, 4, 5, 6}, 1e9, 1e9, "more than"},
	} {
		_, err := mask.FromPolygon(c.polygon, c.width, c.height)
		require.ErrorContains(t, err, c.want, name)
		good := []float64{0, 0, 5, 0, 5, 5}
		_, err = mask.FromPolygons([][]float64{good, c.polygon}, c.width, c.height)
		require.ErrorContains(t, err, c.want, name)
		if c.width == 9 {
			require.ErrorContains(t, err, "polygon 1", name)
		}
	}
}

func TestFromPolygonAllocation(t *testing.T) {
	// 2,000 edges across 1,000 columns: 2 million crossings of 10,000 pixels.
	const edges, width, height = 2000, 1000, 10
	polygon := make([]float64, 0, 2*edges)
	for i := range edges {
		polygon = append(polygon, float64(i%2*width), float64(i*7%height))
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r, err := mask.FromPolygon(polygon, width, height)
	runtime.ReadMemStats(&after)
	require.NoError(t, err)
	require.NoError(t, r.Validate())
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(2<<20))
	require.Equal(t, plain.Polygon(polygon[:20], width, height).RLE(), must(mask.FromPolygon(polygon[:20], width, height)))
}

func must(r mask.RLE, err error) mask.RLE {
	if err != nil {
		panic(err)
	}
	return r
}

func TestFromPolygonFarOutside(t *testing.T) {
	const far = 1 << 27
	r, err := mask.FromPolygon([]float64{-far, -far, far, -far, far, far, -far, far}, 30, 20)
	require.NoError(t, err)
	require.Equal(t, 600, r.Area())
	r, err = mask.FromPolygon([]float64{100, 100, 120, 100, 120, 130}, 30, 20)
	require.NoError(t, err)
	require.Zero(t, r.Area())
	r, err = mask.FromPolygon([]float64{1, 1, 1, 1, 1, 1}, 30, 20)
	require.NoError(t, err)
	require.Zero(t, r.Area())
	r, err = mask.FromPolygons(nil, 30, 20)
	require.NoError(t, err)
	require.Equal(t, mask.NewBitmap(30, 20).RLE(), r)
}

func TestSizesMustAgree(t *testing.T) {
	a, b := mask.NewBitmap(5, 6), mask.NewBitmap(6, 5)
	for name, f := range map[string]func() error{
		"union":        func() error { _, err := mask.Union(a, b); return err },
		"intersection": func() error { _, err := mask.Intersection(a, b); return err },
		"difference":   func() error { _, err := mask.Difference(a, b); return err },
		"IoU":          func() error { _, err := a.IoU(b); return err },
		"label map":    func() error { _, err := mask.LabelMap(5, 6, []*mask.Bitmap{a, b}); return err },
	} {
		var size *mask.SizeError
		require.ErrorAs(t, f(), &size, name)
		require.Equal(t, mask.SizeError{Index: 1, Width: 6, Height: 5, WantWidth: 5, WantHeight: 6}, *size, name)
	}
	_, err := mask.Merge([]mask.RLE{a.RLE(), b.RLE()}, false)
	require.ErrorContains(t, err, "mask 1")
	_, err = mask.IoU([]mask.RLE{a.RLE()}, []mask.RLE{b.RLE()}, nil)
	require.ErrorContains(t, err, "detection 0 is 5×6")
	_, err = mask.IoU([]mask.RLE{a.RLE()}, []mask.RLE{a.RLE()}, []bool{false, true})
	require.ErrorContains(t, err, "2 crowd flags for 1")
	_, err = mask.Merge(nil, true)
	require.Error(t, err)
	_, err = mask.LabelMap(1, 1, make([]*mask.Bitmap, 65536))
	require.ErrorContains(t, err, "65536 masks")
	require.False(t, a.Equal(b))
}

func TestEmptyMasks(t *testing.T) {
	for _, size := range [][2]int{{0, 0}, {0, 7}, {7, 0}} {
		b := mask.NewBitmap(size[0], size[1])
		r := b.RLE()
		require.Equal(t, []uint32{0}, r.Counts)
		require.NoError(t, r.Validate())
		same(t, b, r.Bitmap())
		parsed, err := mask.ParseRLE(size[0], size[1], r.String())
		require.NoError(t, err)
		require.Equal(t, r, parsed)
		x, y, w, h := r.BBox()
		require.Zero(t, x+y+w+h)
		require.Zero(t, b.Box())
		require.Empty(t, b.Polygons(0))
		for _, other := range []*mask.Bitmap{b.FlipHorizontal(), b.Transpose(), b.Rotate90(), b.Erode(3), b.Dilate(3), b.Boundary(1)} {
			require.True(t, other.Empty())
		}
		require.True(t, b.Resize(3, 4).Equal(mask.NewBitmap(3, 4)))
		require.True(t, b.Crop(image.Rect(-1, -1, 4, 4)).Equal(mask.NewBitmap(5, 5)))
		_, err = mask.LabelMap(size[0], size[1], []*mask.Bitmap{b})
		require.NoError(t, err)
	}
	b := mask.NewBitmap(3, 3)
	b.Set(3, 0, true)
	b.Set(0, -1, true)
	require.True(t, b.Empty())
	require.False(t, b.Get(-1, 0))
	require.Panics(t, func() { mask.NewBitmap(-1, 5) })
	require.Panics(t, func() { mask.NewBitmap(math.MaxInt, math.MaxInt) })
}

func TestSimplify(t *testing.T) {
	// A disc with a hole and a speck beside it.
	b := plain.Build(100, 100, func(x, y int) bool {
		d := (x-50)*(x-50) + (y-50)*(y-50)
		return d < 40*40 && d > 15*15 || x == 98 && y == 98
	})
	exact, coarse := b.Parts(0), b.Parts(1.5)
	require.Len(t, exact, 2)
	require.Len(t, coarse, 2)
	require.Len(t, coarse[0].Holes, 1)
	require.Less(t, 3*len(coarse[0].Outer), len(exact[0].Outer))
	require.Equal(t, exact[1], coarse[1], "the speck stays")
	r, err := mask.FromPolygons(b.Polygons(1.5), 100, 100)
	require.NoError(t, err)
	iou, err := mask.IoU([]mask.RLE{r}, []mask.RLE{b.RLE()}, nil)
	require.NoError(t, err)
	require.Greater(t, iou[0][0], .95)
	require.Empty(t, b.Parts(40)[0].Holes, "the hole is smaller than the tolerance")
	for _, tolerance := range []float64{-1, math.NaN(), 0} {
		require.Equal(t, exact, b.Parts(tolerance))
	}
	// No corner of the exact contour is farther from the simplified one than allowed.
	for k := 0; k < len(exact[0].Outer); k += 2 {
		require.LessOrEqual(t, toRing(exact[0].Outer[k], exact[0].Outer[k+1], coarse[0].Outer), 1.5)
	}
}

// toRing is the distance of a point from a ring.
func toRing(x, y float64, ring []float64) float64 {
	best, n := math.Inf(1), len(ring)
	for i := 0; i < n; i += 2 {
		ax, ay, bx, by := ring[i], ring[i+1], ring[(i+2)%n], ring[(i+3)%n]
		t := ((x-ax)*(bx-ax) + (y-ay)*(by-ay)) / ((bx-ax)*(bx-ax) + (by-ay)*(by-ay))
		t = min(max(t, 0), 1)
		best = min(best, math.Hypot(x-ax-t*(bx-ax), y-ay-t*(by-ay)))
	}
	return best
}

func TestBoxIoU(t *testing.T) {
	dt := [][4]float64{{0, 0, 10, 10}, {20, 20, 5, 5}}
	gt := [][4]float64{{5, 0, 10, 10}, {0, 0, 10, 10}, {10, 10, 5, 5}, {5, 0, 10, 10}}
	got := mask.BoxIoU(dt, gt, []bool{false, false, false, true})
	require.Equal(t, [][]float64{{50. / 150, 1, 0, .5}, {0, 0, 0, 0}}, got)
	require.Equal(t, got[0][0], mask.BoxIoU(dt, gt, nil)[0][3])
	require.Empty(t, mask.BoxIoU(nil, gt, nil))
}

func TestStringHasNoStrangers(t *testing.T) {
	r := plain.Build(50, 50, func(x, y int) bool { return (x^y)&1 == 0 }).RLE()
	require.Empty(t, strings.Trim(r.String(), "0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmno"))
}
