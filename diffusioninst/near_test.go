package diffusioninst

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func randomBoxes(rng *rand.Rand, n int, field, side float32) []Instance {
	out := make([]Instance, n)
	for i := range out {
		x, y := rng.Float32()*field, rng.Float32()*field
		w, h := side*(0.5+rng.Float32()), side*(0.5+rng.Float32())
		if rng.IntN(50) == 0 {
			w, h = w*float32(rng.IntN(40)), h*30
		}
		out[i] = Instance{Class: rng.IntN(2), Score: float32(rng.IntN(20)) / 20, Box: Box{X1: x, Y1: y, X2: x + w, Y2: y + h}}
	}
	slices.SortStableFunc(out, byScore)
	return out
}

// What the grids leave out are pairs that do not overlap.
func TestMergingIsThatOfAllPairs(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for trial := range 60 {
		list := randomBoxes(rng, 200, 150, []float32{0.2, 6, 20}[trial%3])
		list[7].Box.X2 = float32(math.Inf(1))
		list[8].Box.Y1 = float32(math.NaN())
		list[9].Box = list[10].Box
		for _, iou := range []float64{0, 0.1, 0.5} {
			var want []Instance
			for _, in := range list {
				if !slices.ContainsFunc(want, func(k Instance) bool { return k.Class == in.Class && k.Box.IoU(in.Box) > float32(iou) }) {
					want = append(want, in)
				}
			}
			got := suppress(list, boxesOver(iou))
			require.Equal(t, len(want), len(got))
			for i := range want { // NaN differs from itself
				require.True(t, want[i].Box == got[i].Box || want[i].Box != want[i].Box)
			}
		}
		var index nearby = map[int]*grid{}
		for i, in := range list {
			index.add(in.Box, i)
		}
		for _, in := range list[:50] {
			met := map[int]bool{}
			index.each(in.Box, func(k int, box Box) bool {
				require.False(t, met[k], "a box is met twice")
				met[k] = true
				return true
			})
			for k, other := range list {
				require.True(t, met[k] || other.Box.IoU(in.Box) == 0, "%v and %v", in.Box, other.Box)
			}
		}
	}
}

// The pairs that are looked at grow with the instances, not with their square.
func TestMergingIsNearlyLinear(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, n := range []int{5_000, 40_000} {
		list := randomBoxes(rng, n, float32(math.Sqrt(float64(n))*100), 50)
		index, pairs := nearby{}, 0
		for i, in := range list {
			index.each(in.Box, func(int, Box) bool { pairs++; return true })
			index.add(in.Box, i)
		}
		require.Less(t, pairs, 50*n)
	}
}
