package data

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAugmentationsThatAskForTooMuch(t *testing.T) {
	s := Sample{ID: "x", Width: 40, Height: 30, RGB: make([]uint8, 3*40*30)}
	nan := math.NaN()
	for name, a := range map[string]Augmentation{
		"flip":              Flip{Horizontal: 1.5},
		"vertical flip":     Flip{Vertical: -0.5},
		"NaN flip":          Flip{Horizontal: nan},
		"sometimes":         Sometimes{2, Flip{}},
		"sometimes nothing": Sometimes{Probability: 1},
		"jitter":            ColorJitter{Brightness: nan},
		"endless jitter":    ColorJitter{Contrast: math.Inf(1)},
		"negative jitter":   ColorJitter{Hue: -1},
		"resize":            ResizeShortest{Short: []int{1_000_000_000}},
		"largest resize":    ResizeShortest{Short: []int{math.MaxInt}},
		"resize between":    ResizeShortest{Short: []int{20_000, math.MaxInt}, Between: true},
		"large resize":      ResizeShortest{Short: []int{20_000}},
		"scale":             Scale{Factor: Range{1000, 1000}},
		"scale of no limit": Scale{Factor: Range{math.MaxInt32, math.MaxInt32}},
		"large scale":       LargeScaleJitter{Factor: Range{1, 1}, Width: 1 << 30, Height: 1 << 30},
		"largest scale":     LargeScaleJitter{Factor: Range{1, 1}, Width: math.MaxInt, Height: math.MaxInt},
		"crop":              RandomCrop{Width: Range{1, math.Inf(1)}, Height: Range{1, 2}},
	} {
		for seed := range uint64(3) {
			_, err := a.Apply(s, rand.New(rand.NewPCG(seed, 1)))
			require.ErrorContains(t, err, "data: ", name)
		}
	}
}

func TestLoadersThatAskForTooMuch(t *testing.T) {
	d, err := Collect([]string{"a"}, func(yield func(Sample, error) bool) {
		yield(Sample{ID: "x", Width: 1, Height: 1, RGB: make([]uint8, 3)}, nil)
	})
	require.NoError(t, err)
	for _, o := range []LoaderOptions{
		{Batch: math.MaxInt}, {Batch: 1 << 20}, {Batch: 2, Prefetch: math.MaxInt}, {Batch: 1 << 10, Prefetch: 1 << 11},
		{Batch: 1, Workers: 1 << 20}, {Batch: 1, Workers: math.MaxInt},
	} {
		_, err := NewLoader(d, o)
		require.ErrorContains(t, err, "want at most", "%+v", o)
	}
}

func TestKeepPicturesZeroIsTheDefault(t *testing.T) {
	var c COCO
	for bytes, want := range map[int64]int64{0: defaultKept, -1: 0, math.MinInt64: 0, 12: 12} {
		c.KeepPictures(bytes)
		require.Equal(t, want, c.pictures.limit)
	}
}
