package sampler_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/sampler"
)

func ExampleSchedule() {
	s := sampler.Cosine(1000)
	for _, t := range []int{0, 499, 999} {
		fmt.Printf("t=%d: signal %.4f, noise %.4f\n", t, s.Alpha(t), s.Sigma(t))
	}
	// Output:
	// t=0: signal 1.0000, noise 0.0064
	// t=499: signal 0.7027, noise 0.7114
	// t=999: signal 0.0000, noise 1.0000
}

func TestSchedules(t *testing.T) {
	// Some ᾱ of 1000 times, from the formulas for ᾱ itself, not through β as the code goes.
	for name, c := range map[string]struct {
		schedule sampler.Schedule
		want     map[int]float64
	}{
		"cosine":  {sampler.Cosine(1000), map[int]float64{0: 0.999958715775178, 499: 0.49384359044063775, 998: 2.428766907034851e-06}},
		"linear":  {sampler.Linear(1000), map[int]float64{0: 0.9999, 499: 0.07858724288177824, 999: 4.0358297653756835e-05}},
		"sigmoid": {sampler.Sigmoid(1000), map[int]float64{0: 0.9996997208002508, 499: 0.5, 998: 0.00030027919974932816}},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, c.schedule.Check())
			require.Len(t, c.schedule, 1000)
			for at, want := range c.want {
				require.InEpsilon(t, want, c.schedule[at], 1e-9, "ᾱ at %d", at)
				require.InDelta(t, 1, c.schedule.Alpha(at)*c.schedule.Alpha(at)+c.schedule.Sigma(at)*c.schedule.Sigma(at), 1e-12)
				require.InDelta(t, math.Log(c.schedule.Alpha(at)/c.schedule.Sigma(at)), c.schedule.Lambda(at), 1e-9)
			}
			require.Equal(t, 1.0, c.schedule.AlphaBar(-1))
		})
	}
}

func TestSchedulesOfAnySize(t *testing.T) {
	for _, n := range []int{1, 2, 3, 10, 20, 100, 4000, 20000} {
		require.NoError(t, sampler.Cosine(n).Check(), n)
		require.NoError(t, sampler.Linear(n).Check(), n)
		require.NoError(t, sampler.Sigmoid(n).Check(), n)
	}
}

func TestImpossibleSchedules(t *testing.T) {
	for name, s := range map[string]sampler.Schedule{
		"empty": {}, "no times": sampler.Cosine(0), "negative": sampler.Linear(-3), "rising": {0.5, 0.6}, "flat": {0.5, 0.5},
		"one": {1, 0.5}, "zero": {0.5, 0}, "NaN": {0.5, math.NaN()}, "infinite": {math.Inf(1), 0.5}, "below the smallest": {0.5, 1e-310},
	} {
		require.Error(t, s.Check(), name)
		_, err := sampler.Config{Schedule: s}.WithDefaults()
		require.ErrorContains(t, err, "schedule", name)
	}
}
