package mask_test

import (
	"image"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/mask"
)

var (
	nan = float32(math.NaN())
	inf = float32(math.Inf(1))
)

func box(x1, y1, x2, y2 float32) mask.Box { return mask.Box{X1: x1, Y1: y1, X2: x2, Y2: y2} }

func TestBoxOverlap(t *testing.T) {
	for name, c := range map[string]struct {
		a, b      mask.Box
		iou, giou float32
	}{
		"same":                   {box(1, 2, 4, 6), box(1, 2, 4, 6), 1, 1},
		"half":                   {box(0, 0, 10, 10), box(0, 0, 10, 5), 0.5, 0.5},
		"corner":                 {box(0, 0, 2, 2), box(1, 1, 3, 3), 1. / 7, 1./7 - 2./9},
		"edge to edge":           {box(0, 0, 1, 1), box(1, 0, 2, 1), 0, 0},
		"apart":                  {box(0, 0, 1, 1), box(3, 0, 4, 1), 0, -0.5},
		"one is empty":           {box(0, 0, 4, 4), box(1, 1, 1, 3), 0, 0},
		"one empty and outside":  {box(0, 0, 2, 4), box(4, 1, 4, 3), 0, -0.5},
		"both empty":             {box(2, 2, 2, 2), box(2, 2, 2, 2), 0, 0},
		"edges swapped":          {box(0, 0, 4, 4), box(3, 1, 1, 3), 0, 0},
		"all edges swapped":      {box(4, 4, 0, 0), box(4, 4, 0, 0), 0, 0},
		"NaN":                    {box(0, 0, 4, 4), box(0, 0, nan, 4), 0, 0},
		"infinite":               {box(0, 0, 4, 4), box(-inf, -inf, inf, inf), 0, 0},
		"area beyond float32":    {box(0, 0, 3e38, 3e38), box(0, 0, 3e38, 3e38), 0, 0},
		"infinite on both sides": {box(-inf, 0, inf, 1), box(-inf, 0, inf, 1), 0, 0},
	} {
		for _, pair := range [][2]mask.Box{{c.a, c.b}, {c.b, c.a}} {
			iou, giou := pair[0].GIoU(pair[1])
			require.Equal(t, pair[0].IoU(pair[1]), iou, name)
			require.InDelta(t, c.iou, iou, 1e-7, name)
			require.InDelta(t, c.giou, giou, 1e-7, name)
		}
	}
}

func TestBoxOuter(t *testing.T) {
	for b, want := range map[mask.Box]image.Rectangle{
		box(1, 2, 4, 6):            image.Rect(1, 2, 4, 6),
		box(1.2, 2.9, 4.1, 6):      image.Rect(1, 2, 5, 6),
		box(-0.5, -1, 0.5, 0):      image.Rect(-1, -1, 1, 0),
		box(2.5, 2.5, 2.5, 2.5):    image.Rect(2, 2, 3, 3),
		box(-inf, 0, inf, 1):       image.Rect(-1<<30, 0, 1<<30, 1),
		box(-3e38, -3e38, 3e38, 1): image.Rect(-1<<30, -1<<30, 1<<30, 1),
	} {
		require.Equal(t, want, b.Outer(), b)
	}
	require.True(t, box(0, nan, 1, 1).Outer().Empty())
}

func TestBoxArea(t *testing.T) {
	for _, c := range []struct {
		box  mask.Box
		area float32
	}{
		{box(1, 2, 4, 6.5), 13.5}, {mask.Box{}, 0}, {box(1, 1, 1, 5), 0}, {box(4, 4, 1, 1), 0},
		{box(0, 0, nan, 1), 0}, {box(0, nan, 1, 1), 0},
	} {
		require.Equal(t, c.area, c.box.Area(), c.box)
		require.Equal(t, c.area == 0, c.box.Empty(), c.box)
	}
}

func TestBoxMoves(t *testing.T) {
	b := box(1, 2, 4, 6)
	require.Equal(t, box(0, 2, 3, 5), box(-1, 2, 4, 6).Clip(3, 5))
	require.True(t, box(7, 2, 9, 6).Clip(5, 5).Empty(), "beside the picture")
	require.Equal(t, box(2, 1.5, 5, 5.5), b.Shift(1, -0.5))
	require.Equal(t, box(2, 1, 8, 3), b.Scale(2, 0.5))
	require.Equal(t, b.Scale(2, 0.5).Shift(3, -1), b.Affine(2, 0.5, 3, -1))
	require.Equal(t, box(6, 2, 9, 6), b.FlipX(10))
	require.Equal(t, box(1, 4, 4, 8), b.FlipY(10))
	require.Equal(t, b, b.FlipX(10).FlipX(10))
	require.Equal(t, [4]float64{1, 2, 3, 4}, b.XYWH())
	require.Equal(t, b, mask.BoxXYWH(b.XYWH()))
	require.Equal(t, b, mask.BoxOf(image.Rect(1, 2, 4, 6)))
}

func TestBoxPixels(t *testing.T) {
	for _, c := range []struct {
		box                mask.Box
		centres, truncated image.Rectangle
	}{
		{box(0, 0, 10, 5), image.Rect(0, 0, 10, 5), image.Rect(0, 0, 10, 5)},
		{box(0.6, 0.4, 3.4, 3.6), image.Rect(1, 0, 3, 4), image.Rect(0, 0, 3, 3)},
		{box(-7, -7, 99, 99), image.Rect(0, 0, 10, 5), image.Rect(0, 0, 10, 5)},
		{box(-inf, 1, inf, 2), image.Rect(0, 1, 10, 2), image.Rect(0, 1, 10, 2)},
		{box(3, 1, 2, 4), image.Rectangle{}, image.Rectangle{}},
		{box(0, 0, nan, 4), image.Rectangle{}, image.Rectangle{}},
	} {
		require.Equal(t, c.centres, c.box.Pixels(10, 5), c.box)
		require.Equal(t, c.truncated, c.box.TruncatedPixels(10, 5), c.box)
	}
}

func TestBoxProperties(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 8))
	const width, height = 9, 7
	draw := func() mask.Box {
		var v [4]float32
		for i := range v {
			v[i] = rng.Float32()*14 - 3
			if rng.IntN(3) == 0 {
				v[i] = float32(math.Round(float64(2*v[i]))) / 2 // edges on pixel centres and borders
			}
		}
		return box(v[0], v[1], v[2], v[3]) // often with edges swapped
	}
	for range 3000 {
		a, b := draw(), draw()
		iou, giou := a.GIoU(b)
		swapped, swappedGIoU := b.GIoU(a)
		require.Equal(t, iou, swapped)
		require.Equal(t, giou, swappedGIoU)
		require.Equal(t, iou, a.IoU(b))
		require.True(t, iou >= 0 && iou <= 1, "%v %v: IoU %v", a, b, iou)
		require.True(t, giou >= -1 && giou <= iou+1e-6, "%v %v: IoU %v, GIoU %v", a, b, iou, giou)
		if a.Empty() {
			require.Zero(t, iou)
		} else {
			require.Equal(t, float32(1), a.IoU(a))
		}
		clipped := a.Clip(width, height)
		require.True(t, clipped.X1 >= 0 && clipped.Y1 >= 0 && clipped.X2 <= width && clipped.Y2 <= height, clipped)
		require.Equal(t, clipped, clipped.Clip(width, height))

		pixels := a.Pixels(width, height)
		for y := range height {
			for x := range width {
				cx, cy := float32(x)+0.5, float32(y)+0.5
				require.Equal(t, cx >= a.X1 && cx < a.X2 && cy >= a.Y1 && cy < a.Y2, image.Pt(x, y).In(pixels), "%v: %d %d", a, x, y)
			}
		}
	}
}
