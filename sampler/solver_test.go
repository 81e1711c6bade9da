package sampler_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/closetest"
	"github.com/diffusioninst/go/sampler"
	"github.com/diffusioninst/go/torch"
)

// trajectory is the states of a run with noise of seed 7 on Gaussian data.
func trajectory(t *testing.T, c sampler.Config, shape ...int) [][]float64 {
	t.Helper()
	c.Renewal, c.Float64 = sampler.NoRenewal{}, true
	c, err := c.WithDefaults()
	require.NoError(t, err)
	var out [][]float64
	inDo(t, func(s *torch.Scope) {
		_, err := c.Run(context.Background(), s, torch.CPU, shape, sampler.SeededNoise(7),
			gaussian{0.3, 0.5}.denoiser(c.Schedule, func(_ sampler.Moment, x *torch.Tensor) { out = append(out, torch.Values[float64](x)) }))
		require.NoError(t, err)
	})
	return out
}

func requireNear(t *testing.T, want, got [][]float64) {
	t.Helper()
	require.Equal(t, len(want), len(got))
	for i := range want {
		closetest.Slices(t, want[i], got[i], 1e-9, "step %d", i)
	}
}

// TestIdentities holds solvers against each other where theory says that they agree.
func TestIdentities(t *testing.T) {
	for name, schedule := range map[string]sampler.Schedule{"cosine": sampler.Cosine(1000), "linear": sampler.Linear(1000), "sigmoid": sampler.Sigmoid(1000)} {
		for _, c := range []struct {
			a, b  sampler.Sampler
			steps int
		}{
			{sampler.DDIM{Eta: 0}, sampler.Euler{}, 9},
			{sampler.DDIM{Eta: 1}, sampler.DDPM{}, 9},
			// Without a step before, the multistep solvers are of first order.
			{sampler.DPMSolver2M{Eta: 0}, sampler.Euler{}, 2},
			{sampler.DPMSolver2M{Eta: 1}, sampler.DDPM{}, 2},
		} {
			t.Run(name+"/"+c.a.String()+"="+c.b.String(), func(t *testing.T) {
				config := sampler.Config{Schedule: schedule, Steps: c.steps}
				config.Sampler = c.a
				a := trajectory(t, config, 1, 6, 3)
				config.Sampler = c.b
				requireNear(t, a, trajectory(t, config, 1, 6, 3))
			})
		}
	}
}

// TestFirstTimeIsNoSingularity goes from the noisiest time, where 1/ᾱ is 4·10⁸, to
// the cleanest in one step and in single times, in float32.
func TestFirstTimeIsNoSingularity(t *testing.T) {
	for _, sm := range []sampler.Sampler{sampler.DDIM{}, sampler.DDIM{Eta: 1}, sampler.DDPM{}, sampler.Euler{}, sampler.Heun{}, sampler.DPMSolver2M{}, sampler.DPMSolver2M{Eta: 1}} {
		for _, grid := range []sampler.Times{{999, 0}, {999, 998, 1, 0}, {999, 500, 499}} {
			inDo(t, func(s *torch.Scope) {
				c := sampler.Config{Sampler: sm, Grid: grid, Renewal: sampler.NoRenewal{}}
				clean := torch.From(s, []float32{0.5, -1, 2})
				_, err := c.Run(context.Background(), s, torch.CPU, []int{1, 1, 3}, sampler.SeededNoise(1),
					func(at sampler.Moment, x *torch.Tensor) (sampler.Prediction, error) {
						if at.T == 0 {
							closetest.Slices(t, []float32{0.5, -1, 2}, torch.Values[float32](x), 0.05, "%v %v", sm, grid)
						}
						return sampler.Prediction{X0: clean.Expand(1, 1, 3)}, nil
					})
				require.NoError(t, err, "%v %v", sm, grid)
			})
		}
	}
}

func TestRestartIsFreshNoise(t *testing.T) {
	got := trajectory(t, sampler.Config{Sampler: sampler.Restart{}, Steps: 3}, 1, 40, 50)
	for i, x := range got {
		values := make([]float32, len(x))
		for j, v := range x {
			values[j] = float32(v)
		}
		mean, variance := moments(values)
		require.InDelta(t, 0, mean, 3/44.7, "step %d", i)
		require.InDelta(t, 1, variance, 3*0.0317, "step %d", i)
		if i > 0 {
			require.NotEqual(t, got[i-1], x)
		}
	}
}

func TestNames(t *testing.T) {
	for want, sm := range map[string]sampler.Sampler{
		"DDIM(η=1)": sampler.DDIM{Eta: 1}, "DDPM": sampler.DDPM{}, "Euler": sampler.Euler{}, "Heun": sampler.Heun{},
		"DPM-Solver++(2M)": sampler.DPMSolver2M{}, "SDE-DPM-Solver++(2M, η=1)": sampler.DPMSolver2M{Eta: 1}, "Restart": sampler.Restart{},
	} {
		require.Equal(t, want, sm.String())
	}
}
