package data

import (
	"image"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/picture"
)

// exact checks a changed drawing: every pixel of a mask, and no other, has the object's
// colour, and boxes are the masks'.
func exact(t *testing.T, s Sample) {
	t.Helper()
	require.NoError(t, s.Check(8))
	visible := map[[3]uint8]bool{}
	for y := range s.Height {
		for x := range s.Width {
			visible[colorAt(s, x, y)] = true
		}
	}
	delete(visible, paper)
	require.Len(t, s.Objects, len(visible), "objects are those that can be seen")
	for _, o := range s.Objects {
		require.True(t, colored(s, ink(o.Class)).Equal(o.Mask), "object %d", o.Class)
		require.Equal(t, mask.BoxOf(o.Mask.Box()), o.Box, "object %d", o.Class)
	}
}

// colored are the pixels of one of some colours.
func colored(s Sample, colors ...[3]uint8) *mask.Bitmap {
	m := mask.NewBitmap(s.Width, s.Height)
	for y := range s.Height {
		for x := range s.Width {
			m.Set(x, y, slices.Contains(colors, colorAt(s, x, y)))
		}
	}
	return m
}

func TestPixelsStayExact(t *testing.T) {
	for name, a := range map[string]Augmentation{
		"flip":          Flip{1, 0},
		"flip vertical": Flip{0, 1},
		"flips":         Flip{0.5, 0.5},
		"turns":         Rotate90{},
		"crop":          RandomCrop{Width: Range{20, 40}, Height: Range{15, 90}},
		"relative crop": RandomCrop{Width: Range{0.3, 0.9}, Height: Range{0.5, 0.5}, Relative: true},
		"large crop":    RandomCrop{Width: Range{1000, 1000}, Height: Range{1, 1000}},
		"scale by 1":    Scale{Factor: Range{1, 1}, Width: 30, Height: 25},
		"all":           Chain{Flip{0.5, 0.5}, Rotate90{}, OneOf{Rotate90{}, RandomCrop{Width: Range{20, 60}, Height: Range{20, 60}}}, Sometimes{0.5, Rotate90{}}},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(12) {
				for _, size := range []image.Point{{64, 48}, {47, 70}, {129, 33}} {
					before := drawn(size.X, size.Y)
					exact(t, before)
					exact(t, apply(t, a, before, seed))
					require.Equal(t, drawn(size.X, size.Y), before, "the argument is left alone")
				}
			}
		})
	}
}

func TestWhereAPixelGoes(t *testing.T) {
	s := drawn(64, 48)
	for name, test := range map[string]struct {
		got  Sample
		want func(x, y int) (int, int)
	}{
		"left to right":   {flipHorizontal(s), func(x, y int) (int, int) { return 63 - x, y }},
		"top to bottom":   {flipVertical(s), func(x, y int) (int, int) { return x, 47 - y }},
		"clockwise":       {turn(s), func(x, y int) (int, int) { return 47 - y, x }},
		"part":            {view(s, 64, 48, image.Rect(5, 6, 20, 30)), func(x, y int) (int, int) { return x - 5, y - 6 }},
		"padded":          {view(s, 64, 48, image.Rect(-2, 6, 80, 90)), func(x, y int) (int, int) { return x + 2, y - 6 }},
		"not resized":     {resize(s, 64, 48), func(x, y int) (int, int) { return x, y }},
		"twice clockwise": {turn(turn(s)), func(x, y int) (int, int) { return 63 - x, 47 - y }},
	} {
		seen := 0
		for y := range 48 {
			for x := range 64 {
				if u, v := test.want(x, y); u >= 0 && v >= 0 && u < test.got.Width && v < test.got.Height {
					seen++
					require.Equal(t, colorAt(s, x, y), colorAt(test.got, u, v), "%s: %d, %d", name, x, y)
				}
			}
		}
		require.Positive(t, seen, name)
	}
}

func TestPaddingHasTheMeanColour(t *testing.T) {
	s := view(drawn(20, 10), 20, 10, image.Rect(0, 0, 25, 13))
	require.Equal(t, paddingColor, colorAt(s, 24, 0))
	require.Equal(t, paddingColor, colorAt(s, 0, 12))
	require.Equal(t, paper, colorAt(s, 19, 0))
}

// A part of a resized sample is that part of the resized sample, whose masks are what
// Bitmap.Resize makes of them.
func TestViewIsResizeThenCrop(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		s := drawn(20+r.IntN(120), 20+r.IntN(90))
		w, h := 1+r.IntN(200), 1+r.IntN(200)
		x, y := r.IntN(w), r.IntN(h)
		part := image.Rect(x, y, x+1+r.IntN(w), y+1+r.IntN(h))
		got := view(s, w, h, part)

		in := part.Intersect(image.Rect(0, 0, w, h))
		whole := picture.Resize(s.RGB, s.Width, s.Height, w, h)
		for y := in.Min.Y; y < in.Max.Y; y++ {
			n := 3 * in.Dx()
			require.Equal(t, whole[3*(y*w+in.Min.X):][:n], got.RGB[3*(y-part.Min.Y)*part.Dx():][:n])
		}
		var want []*mask.Bitmap
		for _, o := range s.Objects {
			if m := o.Mask.Resize(w, h).Crop(part); !m.Empty() {
				want = append(want, m)
			}
		}
		require.Len(t, got.Objects, len(want))
		for i, o := range got.Objects {
			require.True(t, want[i].Equal(o.Mask))
		}
	}
}

// Boxes hold the centres of all pixels of their mask, areas follow the size, and where the
// resized picture is of one colour the mask agrees with it.
func TestScaledObjects(t *testing.T) {
	scale := Scale{Factor: Range{0.6, 1.7}}
	jitter := LargeScaleJitter{Factor: Range{0.3, 2}, Width: 150, Height: 140}
	for seed := range uint64(20) {
		before := drawn(120, 90)
		for _, a := range []Augmentation{scale, jitter, ResizeShortest{Short: []int{50, 100, 190}, Longest: 200}} {
			s := apply(t, a, before, seed)
			require.NoError(t, s.Check(4))
			for _, o := range s.Objects {
				b := o.Mask.Box()
				require.LessOrEqual(t, o.Box.X1, float32(b.Min.X)+0.5)
				require.LessOrEqual(t, o.Box.Y1, float32(b.Min.Y)+0.5)
				require.GreaterOrEqual(t, o.Box.X2, float32(b.Max.X)-0.5)
				require.GreaterOrEqual(t, o.Box.Y2, float32(b.Max.Y)-0.5)
				outside, err := mask.Difference(colored(s, ink(o.Class)), o.Mask)
				require.NoError(t, err)
				require.True(t, outside.Empty(), "object %d has all of its colour", o.Class)
				foreign, err := mask.Intersection(colored(s, paper, paddingColor), o.Mask)
				require.NoError(t, err)
				require.True(t, foreign.Empty(), "object %d has nothing of the background", o.Class)
			}
		}
		s := apply(t, scale, before, seed)
		factor := float64(s.Width*s.Height) / (120 * 90)
		area := float64(before.Objects[1].Mask.Area())
		require.InEpsilon(t, area*factor, float64(s.Objects[1].Mask.Area()), 0.1)
		require.InDelta(t, before.Objects[1].Box.X2*float32(s.Width)/120, s.Objects[1].Box.X2, 1e-4, "whole objects keep their boxes")
	}
}

// An annotation's box need not be the mask's. It stays as it is unless it is cut.
func TestBoxesThatAreCut(t *testing.T) {
	m := mask.NewBitmap(100, 100)
	m.Fill(image.Rect(10, 10, 20, 60))
	m.Fill(image.Rect(20, 50, 60, 60))
	s := Sample{ID: "L", Width: 100, Height: 100, RGB: make([]uint8, 30000),
		Objects: []Object{{Box: mask.Box{X1: 9.5, Y1: 9.25, X2: 60.5, Y2: 61}, Mask: m}}}
	box := func(part image.Rectangle) []mask.Box {
		var out []mask.Box
		for _, o := range view(s, 100, 100, part).Objects {
			out = append(out, o.Box)
		}
		return out
	}
	require.Equal(t, []mask.Box{{X1: 4.5, Y1: 4.25, X2: 55.5, Y2: 56}}, box(image.Rect(5, 5, 70, 70)), "whole")
	require.Equal(t, []mask.Box{{X1: 10, Y1: 10, X2: 20, Y2: 45}}, box(image.Rect(0, 0, 70, 45)), "only the upright part")
	require.Empty(t, box(image.Rect(25, 5, 70, 45)), "in the box, none of the mask")
	require.Empty(t, box(image.Rect(65, 0, 100, 100)), "outside the box")
}

func TestSizesOfScaling(t *testing.T) {
	s := drawn(100, 60)
	sizes := func(a Augmentation) (widths, heights []int) {
		for seed := range uint64(120) {
			out := apply(t, a, s, seed)
			widths, heights = append(widths, out.Width), append(heights, out.Height)
		}
		return widths, heights
	}
	w, h := sizes(Scale{Factor: Range{0.5, 2}, Width: 80, Height: 80})
	require.Equal(t, []int{50, 80, 80}, []int{slices.Min(w), slices.Max(w), slices.Max(h)})
	w, h = sizes(LargeScaleJitter{Factor: Range{0.1, 2}, Width: 64, Height: 50})
	require.Equal(t, []int{64, 64, 50, 50}, []int{slices.Min(w), slices.Max(w), slices.Min(h), slices.Max(h)})
	w, h = sizes(ResizeShortest{Short: []int{30, 33}, Between: true})
	slices.Sort(h)
	require.Equal(t, []int{30, 31, 32, 33}, slices.Compact(h))
	require.Equal(t, []int{50, 55}, []int{slices.Min(w), slices.Max(w)})
	for seed := range uint64(8) {
		out := apply(t, Reference(true, []int{200, 480}, 500), s, seed)
		require.LessOrEqual(t, max(out.Width, out.Height), 500)
		require.True(t, min(out.Width, out.Height) == 200 || max(out.Width, out.Height) == 500)
	}
}

func TestPlacesAreUniform(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	seen := map[image.Point]int{}
	for range 6000 {
		seen[place(6, 5, 4, 4, r).Min]++
	}
	require.Len(t, seen, 6)
	for at, n := range seen {
		require.InDelta(t, 1000, n, 5*math.Sqrt(1000), "%v", at)
	}
	require.Equal(t, image.Rect(0, 0, 9, 9), place(6, 5, 9, 9, r))
}

func TestAugmentationsRefuseWhatTheyCannotDo(t *testing.T) {
	nan := math.NaN()
	for want, a := range map[string]Augmentation{
		"crop of a side from 0 to 3":                                    RandomCrop{Width: Range{0, 3}, Height: Range{1, 2}},
		"crop of a side from 5 to 3":                                    RandomCrop{Width: Range{4, 5}, Height: Range{5, 3}},
		"factor of the size from NaN to 1":                              Scale{Factor: Range{nan, 1}},
		"crop of -1×0 pixels":                                           Scale{Factor: Range{1, 1}, Width: -1},
		"times 1e+08 is too large":                                      Scale{Factor: Range{1e8, 1e8}},
		"large-scale jitter to 0×9 pixels":                              LargeScaleJitter{Factor: Range{1, 1}, Height: 9},
		"resize of the short side to no size":                           ResizeShortest{},
		"resize of the short side to -4 pixels":                         ResizeShortest{Short: []int{-4}},
		"resize of the short side to between [4] pixels: want two size": Chain{Flip{}, ResizeShortest{Short: []int{4}, Between: true}},
	} {
		_, err := a.Apply(drawn(20, 20), rand.New(rand.NewPCG(1, 1)))
		require.ErrorContains(t, err, want)
	}
}
