package diffusioninst

import (
	"context"
	"image"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/sampler"
	"github.com/diffusioninst/go/torch"
)

func TestVoters(t *testing.T) {
	c := candidates{
		boxes: []Box{
			{X2: 10, Y2: 10},                 // the best
			{X2: 10, Y2: 9},                  // overlaps it by 0.9
			{X2: 10, Y2: 6},                  // by 0.6
			{X2: 10, Y2: 10},                 // another class
			{X1: 20, Y1: 20, X2: 30, Y2: 30}, // elsewhere
			{X2: 10, Y2: 8},                  // by 0.8
		},
		scores:  []float32{0.9, 0.5, 0.8, 0.7, 0.6, 0.6},
		classes: []int64{1, 1, 1, 0, 1, 1},
	}
	for _, test := range []struct {
		name     string
		ensemble Ensemble
		want     []int64
	}{
		{"nobody votes", Ensemble{}, []int64{0}},
		{"best first", Ensemble{Vote: 0.5}, []int64{0, 2, 5, 1}},
		{"at the overlap", Ensemble{Vote: 0.8}, []int64{0, 5, 1}},
		{"close ones", Ensemble{Vote: 0.85}, []int64{0, 1}},
		{"few", Ensemble{Vote: 0.5, Voters: 2}, []int64{0, 2}},
		{"one", Ensemble{Vote: 0.5, Voters: 1}, []int64{0}},
	} {
		require.Equal(t, test.want, test.ensemble.voters(c, 0), test.name)
	}
	require.Equal(t, []int64{4}, Ensemble{Vote: 0.1}.voters(c, 4))
	require.Equal(t, []int64{0, 2, 5, 1}, Ensemble{Vote: 0.5, Voters: -1}.voters(c, 0))
	mean := c.mean([]int64{0, 1})
	require.Equal(t, Box{X2: 10, Y2: mean.Y2}, mean)
	require.InDelta(t, 9.642857, mean.Y2, 1e-5, "(0.9·10 + 0.5·9)/1.4")
	require.Equal(t, c.boxes[4], c.mean([]int64{4}))
}

func TestVotersAreEightAtMost(t *testing.T) {
	var c candidates
	for range 20 {
		c.boxes, c.scores, c.classes = append(c.boxes, Box{X2: 5, Y2: 5}), append(c.scores, 0.5), append(c.classes, 0)
	}
	require.Equal(t, []int64{3, 0, 1, 2, 4, 5, 6, 7}, Ensemble{Vote: 1}.voters(c, 3))
}

func TestMajority(t *testing.T) {
	box := image.Rect(60, 2, 70, 5) // across a word of the bitmap
	rows := func(from, to int) *mask.Bitmap {
		m := mask.NewBitmap(80, 6)
		m.Fill(image.Rect(from, 2, to, 5))
		return m
	}
	a, b, c := rows(60, 66), rows(63, 70), rows(60, 64)
	// 60–62: a and c. 63: all. 64 and 65: a and b. 66–69: b alone.
	for _, test := range []struct {
		name    string
		weights []float32
		want    *mask.Bitmap
	}{
		{"equal", []float32{1, 1, 1}, rows(60, 66)},
		{"b outvotes the others", []float32{0.25, 0.75, 0.25}, rows(63, 70)},
		{"half is not more than half", []float32{0.5, 1, 0.5}, rows(63, 66)},
	} {
		require.True(t, test.want.Equal(majority([]*mask.Bitmap{a, b, c}, test.weights, box)), test.name)
	}
	require.Same(t, a, majority([]*mask.Bitmap{a}, []float32{0}, box))
}

// TestEveryEnsemble runs the ensembles with other samplers and renewals.
func TestEveryEnsemble(t *testing.T) {
	m := smallModel(t)
	ctx, img := context.Background(), pattern(100, 80)
	find := func(c sampler.Config, e Ensemble) *Result {
		c.Steps = 3
		got, err := m.Segment(ctx, img, Options{Score: -1, Seed: 3, Sampling: &c, Ensemble: &e})
		require.NoError(t, err)
		require.NotEmpty(t, got.Instances)
		return got
	}
	for _, sm := range []sampler.Sampler{sampler.DDIM{Eta: 1}, sampler.Heun{}, sampler.DPMSolver2M{}, sampler.Restart{}} {
		for _, renewal := range []sampler.Renewal{sampler.NoRenewal{}, sampler.Threshold(0.5), sampler.TopFraction(0.5)} {
			c := sampler.Config{Sampler: sm, Renewal: renewal}
			best, voted, last := find(c, Ensemble{}), find(c, Ensemble{Vote: 0.5}), find(c, Ensemble{LastOnly: true})
			require.True(t, sameResult(best, find(c, Ensemble{Vote: 0.5, Voters: 1})), "a single voter decides as before")
			require.True(t, sameResult(best, find(c, Ensemble{})))
			require.False(t, sameResult(best, voted))
			require.False(t, sameResult(best, last))
			for _, i := range voted.Instances {
				require.True(t, i.Mask.Empty() || i.Mask.Box().In(image.Rect(int(i.Box.X1), int(i.Box.Y1), int(i.Box.X2)+1, int(i.Box.Y2)+1)))
			}
		}
	}
}

func TestImpossibleEnsembles(t *testing.T) {
	m := smallModel(t)
	for _, e := range []Ensemble{{Vote: 1.1}, {Vote: math.NaN()}} {
		c := small()
		c.Ensemble = e
		_, err := c.WithDefaults()
		var bad *ConfigError
		require.ErrorAs(t, err, &bad)
		_, err = m.Segment(context.Background(), pattern(64, 64), Options{Ensemble: &e})
		var option *OptionError
		require.ErrorAs(t, err, &option)
		require.Equal(t, "Ensemble", option.Option)
	}
}

// TestSamplerGoneWrong plugs in samplers whose faults must name them and their step.
func TestSamplerGoneWrong(t *testing.T) {
	m := smallModel(t)
	_, err := m.Segment(context.Background(), pattern(64, 64), Options{Sampling: &sampler.Config{Sampler: narrow{}, Steps: 3}})
	var e *sampler.StepError
	require.ErrorAs(t, err, &e)
	require.Equal(t, "narrow", e.Sampler)
	require.Equal(t, 1, e.Step)

	_, err = m.Segment(context.Background(), pattern(64, 64), Options{Sampling: &sampler.Config{Sampler: sampler.DDIM{Eta: 7}}})
	var option *OptionError
	require.ErrorAs(t, err, &option)
	require.Equal(t, "Sampling", option.Option)
}

// narrow loses a number of every box in its second step.
type narrow struct{}

func (narrow) String() string { return "narrow" }

func (narrow) Step(s *sampler.Step) (*torch.Tensor, error) {
	if len(s.Past) == 1 {
		return s.X.Narrow(2, 0, 3), nil
	}
	return s.X, nil
}
