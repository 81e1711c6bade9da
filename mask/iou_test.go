package mask

import (
	"image"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// The pairs are the elements of the matrix that are not 0, in its order.
func TestOverlapsIsIoU(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	random := func(n int) []RLE {
		out := make([]RLE, n)
		for i := range out {
			m := NewBitmap(120, 90)
			x, y := rng.IntN(120), rng.IntN(90)
			m.Fill(image.Rect(x, y, x+rng.IntN(30), y+1+rng.IntN(40)))
			out[i] = m.RLE()
		}
		return out
	}
	dt, gt := random(60), random(70)
	gt[3] = gt[4] // begin in the same column
	crowd := make([]bool, len(gt))
	crowd[5] = true
	pairs, err := Overlaps(dt, gt, crowd)
	require.NoError(t, err)
	var want []Overlap
	for i := range dt {
		for j := range gt {
			common := commonArea(dt[i].Counts, gt[j].Counts)
			union := dt[i].Area() + gt[j].Area() - common
			if crowd[j] {
				union = dt[i].Area()
			}
			if common > 0 {
				want = append(want, Overlap{i, j, float64(common) / float64(union)})
			}
		}
	}
	require.Equal(t, want, pairs)
	none, err := Overlaps(nil, gt, nil)
	require.NoError(t, err)
	require.Empty(t, none)
	_, err = Overlaps(dt, append(random(1), RLE{Width: 1, Height: 1, Counts: []uint32{1}}), nil)
	require.ErrorContains(t, err, "detection 0 is 120×90, ground truth 1 is 1×1")
	_, err = Overlaps([]RLE{dt[0], {Width: 1, Height: 1, Counts: []uint32{1}}}, gt, nil)
	require.ErrorContains(t, err, "detection 1 is 1×1, ground truth 0 is 120×90")
}
