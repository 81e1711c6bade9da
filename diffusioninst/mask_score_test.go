package diffusioninst

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMaskScore(t *testing.T) {
	m, ctx, img := smallModel(t), context.Background(), pattern(100, 80)
	segment := func(o Options) []Instance {
		r, err := m.Segment(ctx, img, o)
		require.NoError(t, err)
		return r.Instances
	}
	plain := segment(Options{Score: -1})
	scored := segment(Options{Score: -1, MaskScore: 0.25})
	require.Len(t, scored, len(plain))
	require.True(t, slices.IsSortedFunc(scored, byScore))
	qualities := map[float64]bool{}
	for _, in := range scored {
		at := slices.IndexFunc(plain, func(p Instance) bool { return p.Box == in.Box && p.Class == in.Class })
		require.GreaterOrEqual(t, at, 0, "the same boxes")
		require.Equal(t, plain[at].Mask.RLE(), in.Mask.RLE())
		q := math.Pow(float64(in.Score)/math.Pow(float64(plain[at].Score), 0.75), 4)
		require.True(t, q >= 0 && q <= 1.0001, "quality %v", q)
		qualities[q] = true
	}
	require.Greater(t, len(qualities), len(plain)/2)

	// The least score and the limit are of these scores, whatever the class scores are.
	least := scored[len(scored)/2].Score
	require.True(t, sameResult(&Result{Instances: scored[:len(scored)/2+1]}, &Result{Instances: segment(Options{Score: float64(least), MaskScore: 0.25})}))
	require.True(t, sameResult(&Result{Instances: scored[:3]}, &Result{Instances: segment(Options{Score: -1, MaskScore: 0.25, Limit: 3})}))

	// The steps of a run have them, too, and so has a consensus.
	var last *StepResult
	segment(Options{Score: -1, MaskScore: 0.25, OnStep: func(s *StepResult) { last = s }})
	require.True(t, sameResult(&Result{Instances: scored}, last.Result))
	both := segment(Options{Score: 0.001, MaskScore: 0.25, Restarts: 2})
	require.True(t, slices.IsSortedFunc(both, byScore))
	require.NotEqual(t, segment(Options{Score: 0.001, Restarts: 2})[0].Score, both[0].Score)
	tiled := segment(Options{Score: -1, MaskScore: 0.25, Scale: 1, Tile: 64})
	require.True(t, slices.IsSortedFunc(tiled, byScore))

	for _, wrong := range []float64{1, 2, math.NaN()} {
		_, err := m.Segment(ctx, img, Options{MaskScore: wrong})
		var option *OptionError
		require.ErrorAs(t, err, &option, "%v", wrong)
		require.Equal(t, "MaskScore", option.Option)
	}
}

// A model's own setting holds unless a call has its own, and none is none.
func TestMaskScoreOfTheModel(t *testing.T) {
	c := Config{Classes: []string{"a"}, MaskScore: 0.5, Backbone: smallModel(t).Config().Backbone}
	c, err := c.WithDefaults()
	require.NoError(t, err)
	for given, want := range map[float64]float64{0: 0.5, 0.25: 0.25, -1: 0} {
		s, err := Options{MaskScore: given}.resolve(c)
		require.NoError(t, err)
		require.Equal(t, want, s.maskScore)
	}
	for _, wrong := range []float64{1, math.NaN()} {
		c.MaskScore = wrong
		_, err = c.WithDefaults()
		var config *ConfigError
		require.ErrorAs(t, err, &config)
	}
}
