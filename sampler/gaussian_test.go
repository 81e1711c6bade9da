package sampler_test

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/leak"
	"github.com/diffusioninst/go/sampler"
	"github.com/diffusioninst/go/torch"
)

// TestMain keeps to one thread: on states this small more of them only wait for each other.
func TestMain(m *testing.M) {
	torch.SetThreads(1)
	leak.Main(m)
}

// gaussian is data N(mean, std²), for which the best denoiser and the probability
// flow have closed forms. A state x_t = α·x_0 + σ·ε is then N(α·mean, α²·std² + σ²).
type gaussian struct{ mean, std float64 }

func (g gaussian) variance(s sampler.Schedule, t int) float64 {
	return s.AlphaBar(t)*g.std*g.std + 1 - s.AlphaBar(t)
}

// denoiser is E[x_0 | x_t] = mean + α·std²/(α²·std² + σ²)·(x − α·mean). Seen, where
// not nil, gets the states of the steps.
func (g gaussian) denoiser(s sampler.Schedule, seen func(at sampler.Moment, x *torch.Tensor)) sampler.Denoiser {
	return func(at sampler.Moment, x *torch.Tensor) (sampler.Prediction, error) {
		if seen != nil && !at.Inner {
			seen(at, x)
		}
		alpha := s.Alpha(at.T)
		gain := alpha * g.std * g.std / g.variance(s, at.T)
		return sampler.Prediction{X0: x.AddScalar(-alpha * g.mean).MulScalar(gain).AddScalar(g.mean)}, nil
	}
}

// flow is the exact solution of the probability flow: x keeps its quantile.
func (g gaussian) flow(s sampler.Schedule, x float64, from, to int) float64 {
	quantile := (x - s.Alpha(from)*g.mean) / math.Sqrt(g.variance(s, from))
	return s.Alpha(to)*g.mean + math.Sqrt(g.variance(s, to))*quantile
}

// starts is a state in float64 of given numbers; it stands for the noise.
func starts(x []float64) sampler.Noise {
	return func(s *torch.Scope, shape []int) *torch.Tensor { return torch.From(s, x, shape...) }
}

// flowError is the largest distance from the exact solution where the last time begins.
func flowError(t *testing.T, c sampler.Config) float64 {
	t.Helper()
	g := gaussian{mean: 0.7, std: 0.4}
	x := []float64{-1.9, -0.8, 0.1, 0.9, 2.1}
	c.Renewal = sampler.NoRenewal{}
	c, err := c.WithDefaults()
	require.NoError(t, err)
	times, err := c.Times()
	require.NoError(t, err)
	worst := 0.0
	inDo(t, func(s *torch.Scope) {
		var last []float64
		_, err := c.Run(context.Background(), s, torch.CPU, []int{1, 5, 1}, starts(x),
			g.denoiser(c.Schedule, func(_ sampler.Moment, x *torch.Tensor) { last = torch.Values[float64](x) }))
		require.NoError(t, err)
		for i, v := range last {
			worst = max(worst, math.Abs(v-g.flow(c.Schedule, x[i], times[0], times[len(times)-1])))
		}
	})
	return worst
}

// between is a grid of equal steps from one time to another.
type between struct{ from, to int }

func (b between) Times(_ sampler.Schedule, steps int) ([]int, error) {
	if (b.from-b.to)%(steps-1) != 0 {
		return nil, fmt.Errorf("%d steps do not divide %d to %d", steps, b.from, b.to)
	}
	out := make([]int, steps)
	for i := range out {
		out[i] = b.from - i*(b.from-b.to)/(steps-1)
	}
	return out, nil
}

func inDo(t *testing.T, f func(s *torch.Scope)) {
	t.Helper()
	before := torch.Live()
	require.NoError(t, torch.Do(context.Background(), func(s *torch.Scope) error { f(s); return nil }))
	require.Equal(t, before, torch.Live(), "tensors left behind")
}

func TestConvergenceOrder(t *testing.T) {
	const times = 1 << 15
	schedules := map[string]sampler.Schedule{"cosine": sampler.Cosine(times), "linear": sampler.Linear(times), "sigmoid": sampler.Sigmoid(times)}
	for _, c := range []struct {
		sampler sampler.Sampler
		order   float64
	}{{sampler.DDIM{}, 0.9}, {sampler.Euler{}, 0.9}, {sampler.Heun{}, 1.8}, {sampler.DPMSolver2M{}, 1.8}, {Midpoint{}, 1.8}} {
		for name, schedule := range schedules {
			t.Run(fmt.Sprintf("%v/%s", c.sampler, name), func(t *testing.T) {
				var errors []float64
				for _, n := range []int{128, 256, 512} {
					errors = append(errors, flowError(t, sampler.Config{
						Schedule: schedule, Sampler: c.sampler, Grid: between{times * 15 / 16, times / 16}, Steps: n + 1,
					}))
				}
				for i := range errors[1:] {
					order := math.Log2(errors[i] / errors[i+1])
					t.Logf("error %.3g, then %.3g with twice the steps: order %.2f", errors[i], errors[i+1], order)
					require.GreaterOrEqual(t, order, c.order)
					require.Less(t, order, c.order+0.4, "better than its theory: the measurement is wrong")
				}
			})
		}
	}
}

// TestDistribution starts from N(0,1) and compares where the last time begins. The
// posterior of DDPM leaves out how uncertain x0 is, which costs variance in
// proportion to the length of the steps, about one standard error at 1000 steps. DDIM with
// η = 1 is held against DDPM by TestIdentities.
func TestDistribution(t *testing.T) {
	const n = 100_000
	g := gaussian{mean: 0.7, std: 1.5}
	schedule := sampler.Cosine(1000)
	for i, c := range []struct {
		sampler sampler.Sampler
		steps   int
	}{{sampler.DDPM{}, 1000}, {sampler.DPMSolver2M{Eta: 1}, 200}, {sampler.DPMSolver2M{Eta: 0.5}, 200}} {
		t.Run(c.sampler.String(), func(t *testing.T) {
			var last []float32
			var end int
			config := sampler.Config{Schedule: schedule, Sampler: c.sampler, Steps: c.steps, Renewal: sampler.NoRenewal{}}
			denoise := g.denoiser(schedule, func(at sampler.Moment, x *torch.Tensor) {
				if at.Step == c.steps-1 {
					last, end = torch.Values[float32](x), at.T
				}
			})
			inDo(t, func(s *torch.Scope) {
				_, err := config.Run(context.Background(), s, torch.CPU, []int{1, n / 1000, 1000}, sampler.SeededNoise(uint64(i+1)), denoise)
				require.NoError(t, err)
			})
			mean, variance := moments(last)
			wantMean, wantVariance := schedule.Alpha(end)*g.mean, g.variance(schedule, end)
			meanError, varianceError := math.Sqrt(wantVariance/n), wantVariance*math.Sqrt(2.0/n)
			t.Logf("mean %+.2f, variance %+.2f standard errors off", (mean-wantMean)/meanError, (variance-wantVariance)/varianceError)
			require.InDelta(t, wantMean, mean, 3*meanError)
			require.InDelta(t, wantVariance, variance, 3*varianceError)
		})
	}
}

func moments(x []float32) (mean, variance float64) {
	for _, v := range x {
		mean += float64(v) / float64(len(x))
	}
	for _, v := range x {
		variance += (float64(v) - mean) * (float64(v) - mean) / float64(len(x)-1)
	}
	return mean, variance
}
