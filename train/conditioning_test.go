package train

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/internal/closetest"
	"github.com/diffusioninst/go/sampler"
	"github.com/diffusioninst/go/torch"
)

func conditioned(c diffusioninst.Config) diffusioninst.Config {
	c.Decoder.SelfConditioning = true
	return c
}

func TestWhatIsToldByHand(t *testing.T) {
	d := diffusion{schedule: sampler.Schedule{0.36}, scale: 2, prior: diffusioninst.SizePrior{Mean: 0.1, Std: 0.05}, proposals: 2, filters: 2, told: 9}
	require.NoError(t, torch.Do(context.Background(), func(s *torch.Scope) error {
		x := []float64{0.7, -0.35, 1.4, -70, 9, 9, 0, 0, 0, 0, 9, 9}
		require.Equal(t, make([]float32, 18), d.tell(x, sampler.Moment{}))
		// As in package diffusioninst, whose decoder is told the same.
		last := torch.From(s, []float32{0.3, -0.2, 2, 1, 9, 9, 5, 5, 5, 5, 9, 9}, 1, 2, 6)
		at := sampler.Moment{Last: last, Known: torch.From(s, []uint8{1, 0}, 1, 2).EqScalar(1)}
		closetest.Slices(t, append([]float32{0.5, -0.25, -1.4, -2, 0.3, -0.2, -1.2, -1.4, 1}, make([]float32, 9)...), d.tell(x, at), 1e-6)
		at.Known = nil
		require.Equal(t, float32(1), d.tell(x, at)[17])
		d.told = 0
		require.Empty(t, d.tell(x, at))
		return nil
	}))
}

// A picture is told of its proposals what the decoder estimates from the same state or, after an own step, what it estimated
// there of those that were not renewed; half of the others are told nothing.
func TestPicturesAreToldTheModelsEstimates(t *testing.T) {
	for _, filterRange := range []float64{0, 5} {
		var steps []sampler.Step
		var from [][]float32
		c := conditioned(small(2))
		c.FilterRange = filterRange
		c.Sampling = sampler.Config{Sampler: noted{new(sync.Mutex), &steps, &from}, Renewal: sampler.TopFraction(0.5)}
		tr := newTrainer(t, c, Options{OwnSteps: 0.3, Seed: 4})
		batch := slices.Repeat(pictures(2), 4)
		kinds := map[string]int{}
		require.NoError(t, torch.Do(context.Background(), func(s *torch.Scope) error {
			n, d := tr.noise(batch, wholeBatch{Height: 64, Width: 64}), tr.diffusion()
			p := &pass{replica: tr.replicas[0], noised: n, scope: s}
			require.NoError(t, tr.predict(context.Background(), p))
			var estimates [][]float32 // of the decoder that is told nothing, in the signal
			torch.NoGrad(func() {
				e := estimate{diffusion: d, decoder: tr.network.Decoder, samples: batch}
				for _, level := range tr.network.Backbone.Forward(p.batch.input) {
					e.levels = append(e.levels, exact(level))
				}
				var states [][]float64
				var times []int
				for _, b := range n.beginnings {
					states, times = append(states, d.first(b)), append(times, b.firstTime())
				}
				found, err := e.run(s, states, times, nil)
				require.NoError(t, err)
				for _, f := range found {
					estimates = append(estimates, torch.Values[float32](f.X0.Narrow(2, 0, 4)))
				}
			})
			for i, b := range n.beginnings {
				rows, known := n.told[9*c.Proposals*i:9*c.Proposals*(i+1)], 0
				for k := range c.Proposals {
					row := rows[9*k : 9*k+9]
					if row[8] == 0 {
						require.Equal(t, make([]float32, 9), row)
						continue
					}
					known++
					if b.earlier > 0 { // the sampler moves all to a state of 1
						require.Equal(t, []float32{1, 1, 1, 1}, row[:4])
						require.Less(t, k, c.Proposals/2, "those that stay come first")
						found := false
						for j := range c.Proposals {
							found = found || near(estimates[i][4*j:4*j+4], row[4:8])
						}
						require.True(t, found, "an estimate of this picture")
						continue
					}
					require.True(t, near(estimates[i][4*k:4*k+4], row[4:8]))
					require.InDelta(t, min(max(d.first(b)[k*(4+d.filters)], -2), 2), row[0], 1e-5)
				}
				switch {
				case b.earlier > 0:
					kinds["own"]++
					require.Equal(t, c.Proposals/2, known)
				case b.conditioned:
					kinds["told"]++
					require.Equal(t, c.Proposals, known)
				default:
					kinds["not told"]++
					require.Zero(t, known)
				}
			}
			return nil
		}))
		require.Len(t, kinds, 3, kinds)
	}
}

func near(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return max(x-y, y-x) < 1e-3 })
}

// Of pictures without own steps half are told something; who draws does not matter.
func TestHalfOfThePicturesAreTold(t *testing.T) {
	tr := newTrainer(t, conditioned(small(2)), Options{Seed: 1})
	batch := slices.Repeat(pictures(2), 200)
	n, told := tr.noise(batch, wholeBatch{Height: 64, Width: 64}), 0
	for _, b := range n.beginnings {
		if b.conditioned {
			told++
		}
	}
	require.InDelta(t, 300, told, 60, "five standard deviations")
	later := tr.noise(batch[:3], wholeBatch{Height: 64, Width: 64, first: 300})
	require.Equal(t, n.beginnings[300:303], later.beginnings)
}

func TestToldEstimatesDoNotDependOnReplicas(t *testing.T) {
	var want *Report
	for _, replicas := range []int{1, 3} {
		c := conditioned(small(2))
		o := Options{OwnSteps: 0.4, Seed: 5, Float64: true, SyncBatchNorm: true, Replicas: replicas}
		tr := newTrainer(t, c, o)
		first, err := tr.Step(context.Background(), pictures(2))
		require.NoError(t, err)
		require.NotEmpty(t, first.Losses)
		r, err := tr.Step(context.Background(), pictures(2)) // by weights that are no longer zero
		require.NoError(t, err)
		if want == nil {
			want = r
			continue
		}
		require.InEpsilon(t, want.Total, r.Total, 1e-6)
	}
}

// Self-conditioning is learnt on top of a model that was trained without it.
func TestSelfConditioningIsLearnt(t *testing.T) { learntOnTop(t, conditioned, "self_conditioning") }
