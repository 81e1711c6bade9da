package sampler_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/closetest"
	"github.com/diffusioninst/go/sampler"
	"github.com/diffusioninst/go/torch"
)

// stub is a sampler made of a function.
type stub func(s *sampler.Step) (*torch.Tensor, error)

func (stub) String() string                                { return "stub" }
func (f stub) Step(s *sampler.Step) (*torch.Tensor, error) { return f(s) }

// halves is a denoiser that believes in half of what it sees and scores row (b,i) by
// scores[step][b][i].
func halves(scores [][][]float32) sampler.Denoiser {
	return func(at sampler.Moment, x *torch.Tensor) (sampler.Prediction, error) {
		p := sampler.Prediction{X0: x.MulScalar(0.5)}
		if scores != nil {
			var flat []float32
			for _, picture := range scores[at.Step] {
				flat = append(flat, picture...)
			}
			p.Scores = torch.From(x.Scope(), flat, x.Shape()[:2]...).To(x.Device())
		}
		return p, nil
	}
}

// counted is noise whose draw k is 100k + row + 1 in every number of a row.
func counted() sampler.Noise {
	draw := 0
	return func(s *torch.Scope, shape []int) *torch.Tensor {
		values := make([]float32, shape[0]*shape[1]*shape[2])
		for i := range values {
			values[i] = float32(100*draw + i/shape[2] + 1)
		}
		draw++
		return torch.From(s, values, shape...)
	}
}

func firsts(x *torch.Tensor) []float32 {
	all, d := torch.Values[float32](x), x.Size(2)
	var out []float32
	for i := 0; i < len(all); i += d {
		out = append(out, all[i])
	}
	return out
}

// TestHistorySurvivesRenewal follows the rows of two pictures by their numbers: the
// sampler leaves the state as it is, so a row keeps its number while it lives.
func TestHistorySurvivesRenewal(t *testing.T) {
	type seen struct{ x, before, known, longBefore, longKnown []float32 }
	var got []seen
	sm := stub(func(s *sampler.Step) (*torch.Tensor, error) {
		var now seen
		now.x = firsts(s.X)
		if len(s.Past) > 0 {
			require.Equal(t, firsts(s.Past[0].X.MulScalar(0.5)), firsts(s.Past[0].X0))
			require.Greater(t, s.Past[0].T, s.T)
			now.before, now.known = firsts(s.Past[0].X), firsts(s.Past[0].Known)
		}
		if len(s.Past) > 1 {
			now.longBefore, now.longKnown = firsts(s.Past[1].X), firsts(s.Past[1].Known)
		}
		got = append(got, now)
		return s.X, nil
	})
	scores := [][][]float32{
		{{0, 1, 1}, {1, 0, 0}}, // rows 2 and 3 stay, and 4
		{{0, 1, 0}, {0, 0, 1}}, // row 3, and the last fresh one
		{{1, 1, 1}, {1, 1, 1}},
		{{0, 0, 0}, {0, 0, 0}}, // none
		{{1, 1, 1}, {1, 1, 1}},
		nil,
	}
	scores[5] = scores[4]
	var states [][]float32
	denoise := halves(scores)
	inDo(t, func(s *torch.Scope) {
		c := sampler.Config{Sampler: sm, Steps: 6}
		x0, err := c.Run(context.Background(), s, torch.CPU, []int{2, 3, 7}, counted(), func(at sampler.Moment, x *torch.Tensor) (sampler.Prediction, error) {
			states = append(states, firsts(x))
			return denoise(at, x)
		})
		require.NoError(t, err)
		require.Equal(t, []int{2, 3, 7}, x0.Shape())
	})
	require.Equal(t, [][]float32{
		{1, 2, 3, 4, 5, 6},
		{2, 3, 103, 4, 105, 106},
		{3, 202, 203, 106, 205, 206},
		{3, 202, 203, 106, 205, 206},
		{401, 402, 403, 404, 405, 406},
		{401, 402, 403, 404, 405, 406},
	}, states, "those that stay go to the front, fresh ones behind")
	require.Len(t, got, 5)
	require.Equal(t, []float32{2, 3, 1, 4, 5, 6}, got[0].x)
	require.Nil(t, got[0].known)
	require.Equal(t, []float32{3, 2, 103, 106, 4, 105}, got[1].x)
	require.Equal(t, []float32{1, 1, 0, 0, 1, 0}, got[1].known)
	require.Nil(t, got[1].longKnown)
	require.Equal(t, []float32{1, 0, 0, 1, 0, 0}, got[2].known)
	require.Equal(t, []float32{1, 0, 0, 0, 0, 0}, got[2].longKnown)
	require.Equal(t, []float32{1, 1, 1, 1, 1, 1}, got[3].known)
	require.Equal(t, []float32{1, 0, 0, 1, 0, 0}, got[3].longKnown)
	require.Equal(t, []float32{0, 0, 0, 0, 0, 0}, got[4].known)
	for i, now := range got {
		for row, k := range now.known {
			if k == 1 {
				require.Equal(t, now.x[row], now.before[row], "step %d: history belongs to its row", i)
			}
		}
		for row, k := range now.longKnown {
			if k == 1 {
				require.Equal(t, now.x[row], now.longBefore[row], "step %d", i)
			}
		}
	}
}

// TestMultistepSolverSurvivesRenewal runs each proposal of a run with renewal again
// on its own, from the step at which it was drawn: the solver must do the same.
func TestMultistepSolverSurvivesRenewal(t *testing.T) {
	g := gaussian{0.3, 0.5}
	schedule := sampler.Cosine(1000)
	grid := sampler.Times{900, 700, 450, 200, 60}
	scores := [][][]float32{{{0, 1, 1, 0}}, {{1, 0, 1, 0}}, {{0, 1, 1, 1}}, {{1, 1, 1, 1}}, {{1, 1, 1, 1}}}
	clean := g.denoiser(schedule, nil)
	for _, sm := range []sampler.Sampler{sampler.DPMSolver2M{}, sampler.Heun{}, sampler.Euler{}} {
		var states [][]float64
		inDo(t, func(s *torch.Scope) {
			c := sampler.Config{Schedule: schedule, Sampler: sm, Grid: grid}
			_, err := c.Run(context.Background(), s, torch.CPU, []int{1, 4, 2}, in64(sampler.SeededNoise(3)), func(at sampler.Moment, x *torch.Tensor) (sampler.Prediction, error) {
				if !at.Inner {
					states = append(states, torch.Values[float64](x))
				}
				p, err := clean(at, x)
				p.Scores = torch.From(x.Scope(), scores[at.Step][0], 1, 4)
				return p, err
			})
			require.NoError(t, err)
		})
		// (step, row) of a proposal's birth and its rows afterwards.
		for _, life := range []struct {
			born int
			rows []int
		}{{0, []int{1, 0, 0}}, {0, []int{2, 1}}, {1, []int{2, 1, 0, 0}}, {2, []int{2, 1, 1}}, {2, []int{3, 2, 2}}, {3, []int{3, 3}}} {
			row := life.rows[0]
			alone := trajectoryFrom(t, sampler.Config{Schedule: schedule, Sampler: sm, Grid: grid[life.born:]}, g, states[life.born][2*row:2*row+2])
			for i, row := range life.rows {
				closetest.Slices(t, alone[i], states[life.born+i][2*row:2*row+2], 1e-12, "%v: born in row %d of step %d, %d steps later", sm, life.rows[0], life.born, i)
			}
		}
	}
}

// in64 makes the state float64 from the start.
func in64(noise sampler.Noise) sampler.Noise {
	return func(s *torch.Scope, shape []int) *torch.Tensor { return noise(s, shape).ToDType(torch.Float64) }
}

func trajectoryFrom(t *testing.T, c sampler.Config, g gaussian, x []float64) [][]float64 {
	t.Helper()
	c.Renewal = sampler.NoRenewal{}
	var out [][]float64
	inDo(t, func(s *torch.Scope) {
		_, err := c.Run(context.Background(), s, torch.CPU, []int{1, 1, len(x)}, starts(x),
			g.denoiser(c.Schedule, func(_ sampler.Moment, x *torch.Tensor) { out = append(out, torch.Values[float64](x)) }))
		require.NoError(t, err)
	})
	return out
}

// every is all samplers, grids and renewals of the package.
func every(f func(c sampler.Config)) {
	for _, sm := range []sampler.Sampler{sampler.DDIM{}, sampler.DDIM{Eta: 1}, sampler.DDPM{}, sampler.Euler{}, sampler.Heun{}, sampler.DPMSolver2M{}, sampler.DPMSolver2M{Eta: 1}, sampler.Restart{}} {
		for _, grid := range []sampler.Grid{sampler.LinearGrid{}, sampler.QuadraticGrid{}, sampler.KarrasGrid{}, sampler.Times{800, 300, 20}} {
			for _, renewal := range []sampler.Renewal{sampler.NoRenewal{}, sampler.Threshold(0.5), sampler.TopFraction(0.4)} {
				f(sampler.Config{Sampler: sm, Grid: grid, Renewal: renewal, Steps: 3})
			}
		}
	}
}

// scored scores every proposal by its own first number only.
func scored(at sampler.Moment, x *torch.Tensor) (sampler.Prediction, error) {
	return sampler.Prediction{X0: x.MulScalar(0.9).Clamp(-2, 2), Scores: x.Select(2, 0).Sigmoid()}, nil
}

func result(t *testing.T, c sampler.Config, noise sampler.Noise, shape ...int) []float32 {
	t.Helper()
	var out []float32
	inDo(t, func(s *torch.Scope) {
		x0, err := c.Run(context.Background(), s, torch.CPU, shape, noise, scored)
		require.NoError(t, err)
		require.Equal(t, shape, x0.Shape())
		out = torch.Values[float32](x0)
	})
	return out
}

// TestEveryCombination also holds every picture's result against its own run, and
// runs states of other widths than a box's.
func TestEveryCombination(t *testing.T) {
	every(func(c sampler.Config) {
		batch := result(t, c, sampler.SeededNoise(5, 6), 2, 10, 7)
		require.Equal(t, batch, result(t, c, sampler.SeededNoise(5, 6), 2, 10, 7), "the same seed, the same result: %+v", c.Sampler)
		require.Equal(t, batch[:70], result(t, c, sampler.SeededNoise(5), 1, 10, 7), "a picture's result does not depend on its batch")
		require.Equal(t, batch[70:], result(t, c, sampler.SeededNoise(6), 1, 10, 7))
		require.NotEqual(t, batch[:70], batch[70:])
		require.Len(t, result(t, c, sampler.SeededNoise(5), 1, 4, 157), 4*157)
		require.Len(t, result(t, c, sampler.SeededNoise(5), 1, 1, 1), 1)
	})
}

// TestSamplersAreShared runs one configuration from many goroutines.
func TestSamplersAreShared(t *testing.T) {
	c := sampler.Config{Sampler: sampler.DPMSolver2M{Eta: 1}, Steps: 5, Renewal: sampler.TopFraction(0.5)}
	want := result(t, c, sampler.SeededNoise(9), 1, 20, 4)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			err := torch.Do(context.Background(), func(s *torch.Scope) error {
				x0, err := c.Run(context.Background(), s, torch.CPU, []int{1, 20, 4}, sampler.SeededNoise(9), scored)
				if err == nil && !equal(want, torch.Values[float32](x0)) {
					err = errors.New("another result")
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func equal(a, b []float32) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return len(a) == len(b)
}

// TestEvaluations counts evaluations of the denoiser.
func TestEvaluations(t *testing.T) {
	for _, c := range []struct {
		sampler      sampler.Sampler
		outer, inner int
	}{{sampler.DDIM{Eta: 1}, 4, 0}, {sampler.DPMSolver2M{}, 4, 0}, {sampler.Heun{}, 4, 3}} {
		outer, inner := 0, 0
		inDo(t, func(s *torch.Scope) {
			_, err := sampler.Config{Sampler: c.sampler, Steps: 4}.Run(context.Background(), s, torch.CPU, []int{1, 5, 4}, sampler.SeededNoise(1),
				func(at sampler.Moment, x *torch.Tensor) (sampler.Prediction, error) {
					require.Equal(t, []int{1, 5, 4}, x.Shape(), "the denoiser always sees whole pictures")
					if at.Inner {
						require.Equal(t, []int{749, 499, 249}[at.Step], at.T)
						inner++
					} else {
						require.Equal(t, []int{999, 749, 499, 249}[at.Step], at.T)
						outer++
					}
					return scored(at, x)
				})
			require.NoError(t, err)
		})
		require.Equal(t, []int{c.outer, c.inner}, []int{outer, inner}, c.sampler.String())
	}
}

// TestMemoryDoesNotGrow counts the tensors alive at every step.
func TestMemoryDoesNotGrow(t *testing.T) {
	var live []int64
	inDo(t, func(s *torch.Scope) {
		_, err := sampler.Config{Sampler: sampler.Heun{}, Steps: 30}.Run(context.Background(), s, torch.CPU, []int{1, 5, 4}, sampler.SeededNoise(1),
			func(at sampler.Moment, x *torch.Tensor) (sampler.Prediction, error) {
				if !at.Inner {
					live = append(live, torch.Live())
				}
				return scored(at, x)
			})
		require.NoError(t, err)
	})
	require.Equal(t, live[5], live[29])
}
