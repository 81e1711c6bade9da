package diffusioninst

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/sampler"
)

// Three evaluations: all see one object, two another, the second twice.
func TestConsensusByHand(t *testing.T) {
	c := candidates{
		boxes: []Box{
			{X2: 10, Y2: 10}, {X2: 10, Y2: 9}, {X2: 10, Y2: 8},
			{X1: 20, X2: 30, Y2: 10}, {X1: 20, X2: 30, Y2: 9}, {X1: 20, X2: 30, Y2: 8},
			{X2: 10, Y2: 10},
			{X1: 40, X2: 50, Y2: 10},
		},
		scores:      []float32{0.6, 0.9, 0.3, 0.95, 0.5, 0.4, 0.9, 0.3},
		classes:     []int64{0, 0, 0, 0, 0, 0, 1, 0},
		evaluation:  []int32{0, 1, 2, 0, 1, 1, 2, 0},
		evaluations: 3,
	}
	overlap := func(a, b int64) float64 { return float64(c.boxes[a].IoU(c.boxes[b])) }
	order := []int64{3, 1, 6, 0, 4, 5, 2, 7}
	got := c.consensus(order, 0.5, 0.2, overlap)
	require.Len(t, got, 3)
	for i, want := range []object{{[]int64{1, 0, 2}, (0.9 + 0.6 + 0.3) / 3}, {[]int64{3, 4}, (0.95 + 0.5) / 3}, {[]int64{6}, 0.9 / 3}} {
		require.Equal(t, want.votes, got[i].votes)
		require.InDelta(t, want.score, got[i].score, 1e-6)
	}
	require.Len(t, c.consensus(order, 0.5, -1, overlap), 4)
	require.Len(t, c.consensus(order, 0.5, 0.5, overlap), 1)
	require.Len(t, c.consensus(order, 1, -1, overlap), 8, "no two are equal")
}

// Restarts differ in their noise only, and all of them take part.
func TestRestarts(t *testing.T) {
	m, ctx, img := smallModel(t), context.Background(), pattern(100, 80)
	segment := func(o Options) *Result {
		o.Score = -1
		r, err := m.Segment(ctx, img, o)
		require.NoError(t, err)
		return r
	}
	plain := segment(Options{Seed: 4})
	require.True(t, sameResult(plain, segment(Options{Seed: 4, Restarts: 1, Ensemble: &Ensemble{Consensus: 0.5}})), "one evaluation agrees with itself")
	some := Options{Seed: 4, Score: float64(plain.Instances[len(plain.Instances)/2].Score), Ensemble: &Ensemble{Consensus: 0.5}}
	r, err := m.Segment(ctx, img, some)
	require.NoError(t, err)
	require.True(t, sameResult(&Result{Instances: plain.Instances[:len(plain.Instances)/2+1]}, r), "the least score holds")
	var steps []*StepResult
	o := Options{Seed: 4, Restarts: 3, Steps: 2, OnStep: func(s *StepResult) { steps = append(steps, s) }}
	three := segment(o)
	require.Len(t, steps, 6)
	require.NotEqual(t, steps[0].Boxes, steps[2].Boxes, "other noise")
	require.NotEqual(t, steps[2].Boxes, steps[4].Boxes, "other noise")
	for r := range 3 {
		var alone []*StepResult
		segment(Options{Seed: 4 + uint64(r)*restartSeed, Steps: 2, OnStep: func(s *StepResult) { alone = append(alone, s) }})
		for i, s := range alone {
			got := steps[2*r+i]
			require.Equal(t, [2]int{r, i}, [2]int{got.Restart, got.Step})
			require.True(t, sameResult(s.Result, got.Result))
		}
	}
	best := float32(0)
	for _, s := range steps {
		best = max(best, s.Result.Instances[0].Score)
	}
	require.Less(t, three.Instances[0].Score, best, "a mean")
	o.OnStep = nil
	require.True(t, sameResult(three, segment(o)))
	o.Ensemble = &Ensemble{Consensus: -1}
	require.Equal(t, best, segment(o).Instances[0].Score, "one suppression over all, without a consensus")
}

// A consensus works with every sampler, by masks and by boxes, over steps, restarts or both.
func TestConsensusOfSamplers(t *testing.T) {
	m := smallModel(t)
	for _, s := range []sampler.Sampler{sampler.DDIM{Eta: 1}, sampler.DDPM{}, sampler.Euler{}, sampler.Heun{}, sampler.DPMSolver2M{}, sampler.Restart{}} {
		sampling := m.Config().Sampling
		sampling.Sampler = s
		ways := []Ensemble{{Consensus: 0.5}, {Consensus: 0.5, Boxes: true}, {Consensus: 0.5, LastOnly: true}}
		if s != (sampler.DDIM{Eta: 1}) {
			ways = ways[:1]
		}
		for _, e := range ways {
			o := Options{Score: -1, Steps: 2, Restarts: 2, Sampling: &sampling, Ensemble: &e, Proposals: 8}
			r, err := m.Segment(context.Background(), pattern(40, 40), o)
			require.NoError(t, err, "%v", s)
			require.NotEmpty(t, r.Instances)
			for i, in := range r.Instances {
				require.True(t, i == 0 || in.Score <= r.Instances[i-1].Score)
			}
		}
	}
}

func TestConsensusRefuses(t *testing.T) {
	for want, o := range map[string]Options{
		"at most 1":           {Ensemble: &Ensemble{Consensus: 1.5}},
		"Vote and Consensus":  {Ensemble: &Ensemble{Consensus: 0.5, Vote: 0.5}},
		"at most 1000":        {Restarts: 1001},
		"without a Vote":      {Ensemble: &Ensemble{Voters: 3}},
		"without a Consensus": {Ensemble: &Ensemble{Boxes: true}},
	} {
		_, err := o.resolve(mustDefaults(t, small()))
		require.ErrorContains(t, err, want)
	}
	s, err := Options{Restarts: 2}.resolve(mustDefaults(t, small()))
	require.NoError(t, err)
	require.Equal(t, 0.5, s.ensemble.Consensus)
	s, err = Options{Restarts: 2, Ensemble: &Ensemble{Boxes: true}}.resolve(mustDefaults(t, small()))
	require.NoError(t, err)
	require.Equal(t, Ensemble{Consensus: 0.5, Boxes: true}, s.ensemble)
	s, err = Options{Restarts: 2, Ensemble: &Ensemble{Vote: 0.5}}.resolve(mustDefaults(t, small()))
	require.NoError(t, err)
	require.Zero(t, s.ensemble.Consensus, "Vote says how")
}
