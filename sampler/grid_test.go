package sampler_test

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/sampler"
)

func ExampleGrid() {
	s := sampler.Cosine(1000)
	for _, g := range []sampler.Grid{sampler.LinearGrid{}, sampler.QuadraticGrid{}, sampler.KarrasGrid{}, sampler.Times{999, 600, 300, 50}} {
		times, err := g.Times(s, 4)
		fmt.Println(times, err)
	}
	// Output:
	// [999 749 499 249] <nil>
	// [999 562 249 62] <nil>
	// [991 941 377 0] <nil>
	// [999 600 300 50] <nil>
}

func TestGridsFallAndFit(t *testing.T) {
	for _, s := range []sampler.Schedule{sampler.Cosine(1000), sampler.Linear(1000), sampler.Sigmoid(1000), sampler.Cosine(7), sampler.Linear(1)} {
		for _, g := range []sampler.Grid{sampler.LinearGrid{}, sampler.QuadraticGrid{}, sampler.KarrasGrid{}, sampler.KarrasGrid{Rho: 1, Max: 1e9, Min: 1e-9}} {
			for _, steps := range []int{1, 2, 3, 4, 5, 7, 50, 333, 999, 1000} {
				c, err := sampler.Config{Schedule: s, Grid: g, Steps: steps}.WithDefaults()
				if steps > len(s) {
					require.ErrorContains(t, err, "steps", "%T %d of %d", g, steps, len(s))
					continue
				}
				require.NoError(t, err, "%T %d of %d", g, steps, len(s))
				times, err := c.Times()
				require.NoError(t, err)
				require.Len(t, times, steps)
			}
		}
	}
}

// TestLinearGridIsTheReferences compares with linspace(−1, T−1, steps+1), truncated.
func TestLinearGridIsTheReferences(t *testing.T) {
	for steps, want := range map[int][]int{
		1: {999}, 2: {999, 499}, 3: {999, 665, 332}, 4: {999, 749, 499, 249}, 8: {999, 874, 749, 624, 499, 374, 249, 124},
	} {
		got, err := sampler.LinearGrid{}.Times(sampler.Cosine(1000), steps)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

func TestKarrasGridHitsItsLevels(t *testing.T) {
	s := sampler.Cosine(4000)
	times, err := sampler.KarrasGrid{Rho: 3, Max: 50, Min: 0.01}.Times(s, 5)
	require.NoError(t, err)
	for i, at := range times {
		want := math.Pow(math.Cbrt(50)+float64(i)/4*(math.Cbrt(0.01)-math.Cbrt(50)), 3)
		require.InEpsilon(t, want, s.Sigma(at)/s.Alpha(at), 0.05, "level %d", i)
	}
}

// broken is a user's grid gone wrong.
type broken struct{ times []int }

func (b broken) Times(sampler.Schedule, int) ([]int, error) {
	if b.times == nil {
		return nil, errors.New("no idea")
	}
	return b.times, nil
}

func TestImpossibleConfigs(t *testing.T) {
	for name, c := range map[string]sampler.Config{
		"negative steps":        {Steps: -1},
		"more steps than times": {Steps: 1001},
		"empty list":            {Grid: sampler.Times{}},
		"list of other length":  {Grid: sampler.Times{500, 3}, Steps: 3},
		"rising list":           {Grid: sampler.Times{3, 500}},
		"repeated time":         {Grid: sampler.Times{500, 500}},
		"time beyond":           {Grid: sampler.Times{1000, 3}},
		"negative time":         {Grid: sampler.Times{500, -1}},
		"grid's error":          {Grid: broken{}},
		"grid too short":        {Grid: broken{[]int{4}}, Steps: 2},
		"grid out of order":     {Grid: broken{[]int{4, 5}}, Steps: 2},
		"ρ below 0":             {Grid: sampler.KarrasGrid{Rho: -1}},
		"ρ NaN":                 {Grid: sampler.KarrasGrid{Rho: math.NaN()}},
		"levels upside down":    {Grid: sampler.KarrasGrid{Min: 5, Max: 1}},
		"levels out of reach":   {Grid: sampler.KarrasGrid{Min: 1e-9, Max: 1e-8}},
		"η above 1":             {Sampler: sampler.DDIM{Eta: 1.5}},
		"η below 0":             {Sampler: sampler.DDIM{Eta: -0.1}},
		"η NaN":                 {Sampler: sampler.DDIM{Eta: math.NaN()}},
		"η of no noise":         {Sampler: sampler.DPMSolver2M{Eta: -1}},
		"endless η":             {Sampler: sampler.DPMSolver2M{Eta: math.Inf(1)}},
		"threshold NaN":         {Renewal: sampler.Threshold(math.NaN())},
		"fraction above 1":      {Renewal: sampler.TopFraction(1.1)},
		"fraction NaN":          {Renewal: sampler.TopFraction(math.NaN())},
	} {
		_, err := c.WithDefaults()
		require.Error(t, err, name)
	}
}

func TestDefaultsAreThePapers(t *testing.T) {
	c, err := sampler.Config{}.WithDefaults()
	require.NoError(t, err)
	require.Equal(t, sampler.Config{
		Schedule: sampler.Cosine(1000), Sampler: sampler.DDIM{Eta: 1}, Grid: sampler.LinearGrid{}, Steps: 1, Renewal: sampler.Threshold(0.5),
	}, c)
	again, err := c.WithDefaults()
	require.NoError(t, err)
	require.Equal(t, c, again)
}
