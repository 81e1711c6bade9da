package train

import (
	"context"
	"math"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/closetest"
	"github.com/diffusioninst/go/sampler"
	"github.com/diffusioninst/go/torch"
)

// noted is a sampler that notes its steps and moves every proposal to the same box.
type noted struct {
	mu    *sync.Mutex
	steps *[]sampler.Step
	from  *[][]float32
}

func (noted) String() string { return "noted" }

func (n noted) Step(s *sampler.Step) (*torch.Tensor, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	*n.steps = append(*n.steps, *s)
	*n.from = append(*n.from, torch.Values[float32](s.X))
	return s.X.MulScalar(0).AddScalar(1), nil
}

func TestOwnStepsStartWhereTheSamplerEnds(t *testing.T) {
	t.Run("boxes", func(t *testing.T) { ownStepsStart(t, 0) })
	t.Run("filters", func(t *testing.T) { ownStepsStart(t, 5) })
}

func ownStepsStart(t *testing.T, filterRange float64) {
	var steps []sampler.Step
	var from [][]float32
	c := small(2)
	c.FilterRange = filterRange
	c.Sampling = sampler.Config{Sampler: noted{new(sync.Mutex), &steps, &from}, Renewal: sampler.NoRenewal{}}
	tr := newTrainer(t, c, Options{OwnSteps: 0.4, Seed: 4})
	batch := pictures(2)
	batch = append(batch, batch...)
	require.NoError(t, torch.Do(context.Background(), func(s *torch.Scope) error {
		whole := wholeBatch{Height: 64, Width: 64}
		n := tr.noise(batch, whole)
		before := append([]float32(nil), n.boxes...)
		p := &pass{replica: tr.replicas[0], noised: n, scope: s}
		require.NoError(t, tr.predict(context.Background(), p))
		own, d := 0, tr.diffusion()
		for i, b := range n.beginnings {
			got := n.boxes[4*c.Proposals*i : 4*c.Proposals*(i+1)]
			if b.earlier == 0 {
				require.Equal(t, before[4*c.Proposals*i:4*c.Proposals*(i+1)], got)
				continue
			}
			require.Greater(t, b.earlier, b.time)
			require.Less(t, b.earlier, 1000)
			require.Equal(t, []int{b.earlier, b.time}, []int{steps[own].T, steps[own].Next})
			for k, v := range d.first(b) {
				require.InDelta(t, v, from[own][k], 1e-5)
			}
			// A state of 1 at the scale of 2 is (1/2 + 1)/2 = 3/4 of the picture.
			w, h := float32(batch[i].Width), float32(batch[i].Height)
			closetest.Slices(t, []float32{0.375 * w, 0.375 * h, 1.125 * w, 1.125 * h}, got[:4], 1e-4)
			if d.filters > 0 { // 1/2 of the range
				require.Equal(t, float32(2.5), n.filters[d.filters*c.Proposals*i])
				require.Equal(t, float32(2.5), n.filters[d.filters*c.Proposals*(i+1)-1])
			}
			own++
		}
		require.Len(t, steps, own)
		require.Positive(t, own)
		require.Less(t, own, len(batch))
		return nil
	}))
}

// Own steps have no gradients, depend on nothing but the sample's number, and work in replicas.
func TestOwnStepsDoNotDependOnReplicas(t *testing.T) {
	for _, sm := range []sampler.Sampler{nil, sampler.Heun{}} {
		var want *Report
		for _, o := range []Options{{}, {OwnSteps: 1}, {OwnSteps: 1, Replicas: 3}} {
			o.Seed, o.Float64, o.SyncBatchNorm = 5, true, true
			c := small(2)
			c.Sampling.Sampler = sm
			r, err := newTrainer(t, c, o).Step(context.Background(), pictures(2))
			require.NoError(t, err)
			switch {
			case o.OwnSteps == 0:
				want = r
			case o.Replicas == 0:
				require.NotEqual(t, want.Total, r.Total)
				want = r
			default:
				require.InEpsilon(t, want.Total, r.Total, 1e-9)
				require.InEpsilon(t, want.Norm, r.Norm, 1e-6)
			}
		}
	}
	for _, share := range []float64{1.5, math.NaN()} {
		_, err := Options{OwnSteps: share}.withDefaults(1)
		require.ErrorContains(t, err, "own steps")
	}
}
