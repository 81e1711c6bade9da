package diffusioninst

import (
	"context"
	"errors"
	"image"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/sampler"
)

func TestOneViewIsSegment(t *testing.T) {
	m := smallModel(t)
	ctx, img := context.Background(), pattern(150, 90)
	for _, o := range []Options{all, {Score: -1, Limit: 4, Seed: 8}, {Score: -1, Steps: 3}} {
		want, err := m.Segment(ctx, img, o)
		require.NoError(t, err)
		require.NotEmpty(t, want.Instances)
		for _, a := range []Augment{{}, {Scales: []int{64}}} {
			with := o
			with.Augment = a
			got, err := m.Segment(ctx, img, with)
			require.NoError(t, err)
			require.True(t, sameResult(want, got))
		}
	}
}

func TestMirroredPictureHasMirroredResult(t *testing.T) {
	m := smallModel(t)
	ctx, img := context.Background(), pattern(151, 90)
	mirrored := image.NewRGBA(img.Rect)
	for y := range 90 {
		for x := range 151 {
			mirrored.SetRGBA(150-x, y, img.RGBAAt(x, y))
		}
	}
	o := Options{Score: -1, Seed: 3}
	with := o
	with.Augment = Augment{Scales: []int{64, 96}, Flip: true}
	want, err := m.Segment(ctx, img, with)
	require.NoError(t, err)
	got, err := m.Segment(ctx, mirrored, with)
	require.NoError(t, err)
	require.NotEmpty(t, got.Instances)
	require.Len(t, got.Instances, len(want.Instances))
	plain, err := m.Segment(ctx, img, o)
	require.NoError(t, err)
	require.False(t, sameResult(plain, want))
	for i, w := range want.Instances {
		g := got.Instances[i]
		g.Box, g.Mask = g.Box.FlipX(151), g.Mask.FlipHorizontal()
		require.Equal(t, w.Class, g.Class)
		require.InDelta(t, w.Score, g.Score, 1e-5)
		for k, v := range []float32{w.Box.X1, w.Box.Y1, w.Box.X2, w.Box.Y2} {
			require.InDelta(t, v, []float32{g.Box.X1, g.Box.Y1, g.Box.X2, g.Box.Y2}[k], 1e-2)
		}
		if w.Area() > 100 {
			iou, err := w.Mask.IoU(g.Mask)
			require.NoError(t, err)
			require.Greater(t, iou, 0.95)
		}
	}
}

func TestViewsAreOfThePicturesSize(t *testing.T) {
	m := smallModel(t)
	for _, size := range [][2]int{{33, 70}, {128, 64}, {200, 31}} {
		img := pattern(size[0], size[1])
		r, err := m.Segment(context.Background(), img, Options{Score: -1, Augment: Augment{Scales: []int{32, 64, 90}, Flip: true}})
		require.NoError(t, err)
		require.NotEmpty(t, r.Instances)
		for i, in := range r.Instances {
			require.Equal(t, img.Rect, in.Mask.Bounds())
			box := image.Rect(int(in.Box.X1), int(in.Box.Y1), int(in.Box.X2)+1, int(in.Box.Y2)+1)
			require.True(t, in.Mask.Empty() || in.Mask.Box().In(box), "the mask %v leaves its box %v", in.Mask.Box(), in.Box)
			require.True(t, i == 0 || in.Score <= r.Instances[i-1].Score)
		}
		few, err := m.Segment(context.Background(), img, Options{Score: -1, Limit: 2, Augment: Augment{Scales: []int{32, 64, 90}, Flip: true}})
		require.NoError(t, err)
		require.True(t, sameResult(&Result{Instances: r.Instances[:2]}, few), "the limit is of what is merged")
	}
}

func TestScaledInput(t *testing.T) {
	in := Input{Short: 800, Longest: 1333}
	for scale, longest := range map[int]int{800: 1333, 400: 667, 1200: 2000, 1: 2} {
		require.Equal(t, Input{Short: scale, Longest: longest}, in.scaled(scale))
	}
	for in, want := range map[Input]Input{
		{Scale: 1}:                {Short: 96},
		{Scale: 2, Longest: 300}:  {Short: 96, Longest: 300},
		{Scale: 0.5, Longest: 50}: {Short: 96, Longest: 96},
	} {
		require.Equal(t, want, in.scaled(96))
		require.Equal(t, in, in.scaled(0))
	}
}

// found is an instance with a box and a mask that fills r.
func found(class int, score float32, box Box, r image.Rectangle) Instance {
	m := mask.NewBitmap(100, 50)
	m.Fill(r)
	return Instance{Class: class, Score: score, Box: box, Mask: m}
}

func TestLooksVote(t *testing.T) {
	square := func(class int, score float32, x float32) Instance {
		return found(class, score, Box{X1: x, Y1: 10, X2: x + 20, Y2: 30}, image.Rect(int(x), 10, int(x)+20, 30))
	}
	looks := [][]Instance{
		{square(0, 0.9, 60), square(0, 0.5, 20)},
		{square(0, 0.75, 20), square(1, 0.6, 20), square(0, 0.3, 62)},
		{square(0, 0.5, 24), square(0, 0.25, 0)},
	}
	got := vote(looks, 0.5)
	var scores []float32
	var classes []int
	for _, in := range got {
		scores, classes = append(scores, in.Score), append(classes, in.Class)
	}
	require.Equal(t, []float32{0.9, 0.75, 0.6, 0.25}, scores)
	require.Equal(t, []int{0, 0, 1, 0}, classes)

	// (0.9·60 + 0.3·62)/1.2; of two masks the surer one, inside the box.
	require.InDelta(t, 60.5, got[0].Box.X1, 1e-4)
	require.Equal(t, image.Rect(60, 10, 80, 30), got[0].Mask.Box())
	// (0.75·20 + 0.5·20 + 0.5·24)/1.75 is 21.14: pixels from 22 − ½ on and below 41.14.
	require.InDelta(t, 21.142857, got[1].Box.X1, 1e-4)
	require.Equal(t, image.Rect(21, 10, 40, 30), got[1].Mask.Box(), "two of three saw 20 to 40")
	require.Equal(t, 19*20, got[1].Area())
	// Nobody else saw these.
	require.True(t, looks[1][1].Mask.Equal(got[2].Mask))
	require.Equal(t, looks[2][1], got[3])

	require.Len(t, vote(looks, 0.95), 6, "only equal boxes are of the same object")
	require.Len(t, vote(looks, -1), 7, "nothing is merged")
	require.Len(t, vote(looks[:1], 0.01), 2)
	require.Empty(t, vote([][]Instance{nil, nil}, 0.5))
}

func TestInstancesOfOneViewStayApart(t *testing.T) {
	r := image.Rect(0, 0, 20, 20)
	a, b := found(0, 0.9, Box{X1: 0, Y1: 0, X2: 20, Y2: 20}, r), found(0, 0.8, Box{X1: 0, Y1: 0, X2: 20, Y2: 16}, r)
	require.Len(t, vote([][]Instance{{a, b}}, 0.5), 2)
	// What another view saw goes to the one that it overlaps most.
	c := found(0, 0.4, Box{X1: 0, Y1: 0, X2: 20, Y2: 15}, image.Rect(0, 0, 20, 15))
	got := vote([][]Instance{{a, b}, {c}}, 0.5)
	require.Len(t, got, 2)
	require.Equal(t, a.Box, got[0].Box)
	require.InDelta(t, 15.666667, got[1].Box.Y2, 1e-4)
}

func TestMasksVote(t *testing.T) {
	masks := func(rects ...image.Rectangle) []*mask.Bitmap {
		var out []*mask.Bitmap
		for _, r := range rects {
			out = append(out, found(0, 1, Box{}, r).Mask)
		}
		return out
	}
	three := masks(image.Rect(60, 5, 70, 20), image.Rect(62, 5, 72, 20), image.Rect(64, 5, 74, 20))
	got := mergeMasks(three, []float32{0.5, 0.5, 0.5}, Box{X1: 60, Y1: 5, X2: 74, Y2: 18})
	require.Equal(t, masks(image.Rect(62, 5, 72, 18))[0], got, "by majority, inside the box")
	got = mergeMasks(three, []float32{0.1, 0.1, 0.9}, Box{X2: 100, Y2: 50})
	require.Equal(t, three[2], got)
	require.True(t, mergeMasks(three, []float32{1, 1, 1}, Box{X1: 3, Y1: 3, X2: 3, Y2: 3}).Empty())
}

func TestImpossibleAugment(t *testing.T) {
	m := smallModel(t)
	ctx, img := context.Background(), pattern(64, 64)
	for _, c := range []struct {
		option string
		a      Augment
	}{
		{"Augment.Scales", Augment{Scales: []int{64, 0}}},
		{"Augment.Scales", Augment{Scales: []int{maxSide + 1}}},
		{"Augment.Scales", Augment{Scales: []int{math.MaxInt}}},
		{"Augment.IoU", Augment{IoU: 1.5}},
	} {
		option, a := c.option, c.a
		_, err := m.Segment(ctx, img, Options{Score: -1, Augment: a})
		var e *OptionError
		require.ErrorAs(t, err, &e)
		require.Equal(t, option, e.Option)
	}
	var e *OptionError
	_, err := m.Segment(ctx, img, Options{Score: -1, Augment: Augment{IoU: math.NaN()}})
	require.ErrorAs(t, err, &e)
	_, err = m.Segment(ctx, img, Options{Steps: -1, Augment: Augment{Flip: true}})
	require.ErrorAs(t, err, &e)
	var bad *ImageError
	_, err = m.Segment(ctx, pattern(1, 9), Options{Score: -1, Augment: Augment{Flip: true}})
	require.ErrorAs(t, err, &bad)
}

func TestAugmentedEndsWithItsContext(t *testing.T) {
	m := smallModel(t)
	ctx, cancel := context.WithCancel(context.Background())
	steps := 0
	o := Options{Score: -1, Steps: 3, Augment: Augment{Flip: true}, Sampling: &sampler.Config{Sampler: counting{&steps, func() {
		if steps == 3 {
			cancel()
		}
	}}}}
	_, err := m.Segment(ctx, pattern(64, 64), o)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 3, steps, "two steps are taken in the first view, one in the second")
	var view *ViewError
	require.True(t, errors.As(err, &view))
	require.Equal(t, ViewError{Scale: 64, Mirrored: true, Err: context.Canceled}, *view)
}
