package train

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/internal/closetest"
	"github.com/diffusioninst/go/sampler"
)

// fixed are Draws with one time and noise of one value.
type fixed struct {
	time  int
	noise float32
}

func (f fixed) Time(int) int { return f.time }

func (f fixed) Noise(n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = f.noise
	}
	return out
}

func (f fixed) Subset(n, k int) []int {
	out := make([]int, k)
	for i := range out {
		out[i] = n - k + i
	}
	return out
}

func (f fixed) Classes([]float32, int) []int { return nil }

func TestStartOfTheDiffusion(t *testing.T) {
	box := func(k float32) diffusioninst.Box { return diffusioninst.Box{X1: 10 * k, Y1: 0, X2: 10*k + 20, Y2: 50} }
	for name, c := range map[string]struct {
		boxes []diffusioninst.Box
		noise float32
		want  []float32
	}{
		"padded":              {[]diffusioninst.Box{box(1)}, 0.6, []float32{0.2, 0.5, 0.2, 1, 0.6, 0.6, 0.6, 0.6}},
		"padding has an area": {[]diffusioninst.Box{box(1)}, -6, []float32{0.2, 0.5, 0.2, 1, -0.5, -0.5, 1e-4, 1e-4}},
		"as many":             {[]diffusioninst.Box{box(0), box(2)}, 0, []float32{0.1, 0.5, 0.2, 1, 0.3, 0.5, 0.2, 1}},
		"too many":            {[]diffusioninst.Box{box(0), box(2), box(4)}, 0, []float32{0.3, 0.5, 0.2, 1, 0.5, 0.5, 0.2, 1}},
		"none":                {nil, 0, []float32{0.5, 0.5, 1, 1, 0.5, 0.5, 0.5, 0.5}},
	} {
		t.Run(name, func(t *testing.T) {
			d := diffusion{schedule: sampler.Cosine(1000), scale: 2, proposals: 2}
			got := d.start(picture("x", 100, 50, 1, c.boxes...), fixed{noise: c.noise})
			closetest.Slices(t, c.want, got, 1e-6)
		})
	}
}

func TestNoisyBoxes(t *testing.T) {
	d := diffusion{schedule: sampler.Schedule{0.75, 0.25}, scale: 2, proposals: 1}
	s := picture("x", 100, 50, 1, diffusioninst.Box{X1: 40, Y1: 10, X2: 60, Y2: 40})
	b := d.begin(s, fixed{1, 0.1})
	require.Equal(t, 1, b.time)
	boxes := d.pixels(d.state(b, 1), 1, s)
	// x₀ = 2·(2b−1) of (½, ½, 0.2, 0.6), x = ½·x₀ + √¾·0.1, back to boxes by (x/2+1)/2.
	var x [4]float64
	for k, v := range []float64{0.5, 0.5, 0.2, 0.6} {
		x[k] = ((2*(2*v-1)/2+math.Sqrt(0.75)*0.1)/2 + 1) / 2
	}
	want := []float64{(x[0] - x[2]/2) * 100, (x[1] - x[3]/2) * 50, (x[0] + x[2]/2) * 100, (x[1] + x[3]/2) * 50}
	closetest.Slices(t, want, []float64{float64(boxes[0]), float64(boxes[1]), float64(boxes[2]), float64(boxes[3])}, 1e-4)

	clamped := d.pixels(d.state(d.begin(s, fixed{1, 100}), 1), 1, s)
	require.Equal(t, []float32{50, 25, 150, 75}, clamped, "cx cy w h of 1 at most")
	closetest.Slices(t, []float64{2, 2, 2, 2}, d.signal(clamped, s), 1e-6)
	closetest.Slices(t, []float64{0, 0, -1.2, 0.4}, d.signal([]float32{40, 10, 60, 40}, s), 1e-6)
}

func TestDraws(t *testing.T) {
	r := NewRandom(3)
	weights := []float32{0, 1, 0, 4, 2, 0}
	firsts := make([]int, len(weights))
	for range 7000 {
		got := r.Classes(weights, 2)
		require.Len(t, got, 2)
		require.NotEqual(t, got[0], got[1])
		firsts[got[0]]++
	}
	for i, w := range weights {
		require.InDelta(t, 1000*float64(w), float64(firsts[i]), 200, "class %d", i)
	}
	require.ElementsMatch(t, []int{1, 3, 4}, r.Classes(weights, 50), "no more than have a weight")
	subset := r.Subset(10, 4)
	require.Len(t, subset, 4)
	require.IsIncreasing(t, subset)

	state, err := r.MarshalBinary()
	require.NoError(t, err)
	want := r.Noise(5)
	again := NewRandom(99)
	require.NoError(t, again.UnmarshalBinary(state))
	require.Equal(t, want, again.Noise(5), "a state continues")
	require.Error(t, again.UnmarshalBinary([]byte("nonsense")))
}

// With a size prior boxes go in a straight line from the prior to the objects.
func TestSizePriorIsAStraightPath(t *testing.T) {
	d := diffusion{schedule: sampler.Schedule{0.9, 0.5, 1e-6}, scale: 2, proposals: 2, prior: diffusioninst.SizePrior{Mean: 0.1, Std: 0.05}}
	s := picture("x", 200, 100, 1, diffusioninst.Box{X1: 40, Y1: 20, X2: 80, Y2: 60})
	b := d.begin(s, fixed{noise: 0.5})
	closetest.Slices(t, []float32{0.125, 0.125}, b.x0[6:], 1e-6, "padding has the prior's size")
	for time := range d.schedule {
		u := d.schedule.Sigma(time) / (d.schedule.Alpha(time) + d.schedule.Sigma(time))
		got := d.pixels(d.state(b, time), time, s)
		for k, truth := range []float64{0.3, 0.4, 0.2, 0.4} {
			noise := 0.5 + 0.5/4
			if k >= 2 {
				noise = 0.1 + 0.5*0.05
			}
			box := [4]float64{float64(got[0]+got[2]) / 400, float64(got[1]+got[3]) / 200, float64(got[2]-got[0]) / 200, float64(got[3]-got[1]) / 100}
			require.InDelta(t, (1-u)*truth+u*noise, box[k], 1e-5)
		}
	}
	truth := d.pixels(d.state(b, 0), 0, s)
	clean := d.signal(truth, s)
	for k, v := range d.state(b, 0) { // up to the narrowing of time 0, which a clean state does not have
		require.InDelta(t, v*d.prior.Narrowing(d.schedule.Alpha(0), d.schedule.Sigma(0)), clean[k], 1e-4)
	}
}
