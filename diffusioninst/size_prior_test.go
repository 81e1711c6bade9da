package diffusioninst

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/closetest"
	"github.com/diffusioninst/go/internal/modeltest"
	"github.com/diffusioninst/go/sampler"
	"github.com/diffusioninst/go/torch"
)

func TestSizePriorOfAState(t *testing.T) {
	p := SizePrior{Mean: 0.1, Std: 0.05}
	require.NoError(t, p.check())
	modeltest.Do(t, func(s *torch.Scope) {
		x := torch.From(s, []float32{0.3, -0.2, 1, -1, 7, 8}, 1, 1, 6)
		require.Same(t, x, SizePrior{}.read(x, 2, 0.5), "nothing without a prior")
		require.Same(t, x, SizePrior{}.write(x, 2))
		// Sides have a mean of −1.6 and a standard deviation of 0.2; α = σ = √½.
		f := 1 / math.Sqrt2
		closetest.Slices(t, []float64{0.3 * f, -0.2 * f, 0.2*f - 1.6, -0.2*f - 1.6, 7, 8}, torch.Values[float64](p.read(x, 2, 0.5)), 1e-6)
		closetest.Slices(t, []float64{0.3, -0.2, 13, 3, 7, 8}, torch.Values[float64](p.write(x, 2)), 1e-5)
		closetest.Slices(t, torch.Values[float64](x), torch.Values[float64](p.read(p.write(x, 2), 2, 1)), 1e-5)
	})
}

// The first boxes of a model with a prior have the prior's sizes.
func TestSizePriorInSampling(t *testing.T) {
	c := small()
	c.Proposals = 200
	c.SizePrior = SizePrior{Mean: 0.3, Std: 0.02}
	m, err := New(context.Background(), c, 1, torch.CPU)
	require.NoError(t, err)
	defer m.Close()
	var widths []float64
	_, err = m.Segment(context.Background(), pattern(64, 64), Options{Score: -1, Steps: 2, Sampling: &sampler.Config{Renewal: sampler.NoRenewal{}}, OnStep: func(r *StepResult) {
		if r.Step == 0 {
			for _, b := range r.Boxes {
				widths = append(widths, float64(b.X2-b.X1)/64)
			}
		}
	}})
	require.NoError(t, err)
	require.Len(t, widths, 200)
	sum := 0.0
	for _, w := range widths {
		require.InDelta(t, 0.3, w, 0.1)
		sum += w
	}
	require.InDelta(t, 0.3, sum/200, 0.01)
}
