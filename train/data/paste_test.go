package data

import (
	"bytes"
	"image"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// others is a drawing whose objects have other colours and classes than drawn's.
func others(w, h int) Sample {
	s := flipHorizontal(drawn(w, h))
	for i := range s.Objects {
		o := &s.Objects[i]
		o.Class += 4
		c := ink(o.Class)
		for y := range h {
			for x0, x1 := range o.Mask.Row(y) {
				for x := x0; x < x1; x++ {
					copy(s.RGB[3*(y*w+x):], c[:])
				}
			}
		}
	}
	return s
}

// After pasting, too, every mask is exactly the pixels of its object's colour.
func TestPastedObjectsCoverOthers(t *testing.T) {
	covered, cut := 0, 0
	for _, size := range []image.Point{{64, 48}, {47, 70}, {90, 30}} {
		for seed := range uint64(20) {
			s, other := drawn(64, 48), others(size.X, size.Y)
			got, err := paste(s, other, rand.New(rand.NewPCG(seed, 0)))
			require.NoError(t, err)
			exact(t, got)
			require.Equal(t, drawn(64, 48), s, "the arguments are left alone")
			require.Equal(t, others(size.X, size.Y), other)
			left := 0
			for _, o := range got.Objects {
				if o.Class < 4 {
					left++
					if !o.Mask.Equal(s.Objects[o.Class].Mask) {
						cut++
					}
				}
			}
			covered += len(s.Objects) - left
		}
	}
	require.Positive(t, covered)
	require.Positive(t, cut)
}

func TestShareOfPasting(t *testing.T) {
	first, second := drawn(40, 40), others(40, 40)
	d, err := Collect([]string{"0", "1", "2", "3", "4", "5", "6", "7"}, func(yield func(Sample, error) bool) {
		_ = yield(first, nil) && yield(second, nil)
	})
	require.NoError(t, err)
	for share, want := range map[float64]float64{0: 0, 0.5: 23, 1: 47} { // half of those that get objects get their own
		changed := 0
		for _, s := range take(t, newLoader(t, d, LoaderOptions{Batch: 100, CopyPaste: share, Seed: 1}), 1)[0] {
			if !bytes.Equal(s.RGB, first.RGB) && !bytes.Equal(s.RGB, second.RGB) {
				changed++
			}
		}
		require.InDelta(t, want, changed, want/2)
	}
	for _, share := range []float64{-0.1, 1.1, math.NaN()} {
		_, err := NewLoader(d, LoaderOptions{Batch: 1, CopyPaste: share})
		require.ErrorContains(t, err, "0 to 1")
	}
}
