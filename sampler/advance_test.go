package sampler_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/sampler"
	"github.com/diffusioninst/go/torch"
)

// Advance is what a run does between its first two evaluations.
func TestAdvanceIsTheFirstStepOfARun(t *testing.T) {
	shape := []int{2, 3, 4}
	scores := [][][]float32{{{0, 1, 1}, {1, 0, 0}}, {{1, 1, 1}, {1, 1, 1}}}
	for _, sm := range []sampler.Sampler{sampler.DDIM{Eta: 1}, sampler.Heun{}} {
		c, err := sampler.Config{Sampler: sm, Grid: sampler.Times{900, 300}}.WithDefaults()
		require.NoError(t, err)
		require.NoError(t, torch.Do(context.Background(), func(s *torch.Scope) error {
			var want, last []float32
			var known []uint8
			denoise := halves(scores)
			_, err := c.Run(context.Background(), s, torch.CPU, shape, counted(), func(at sampler.Moment, x *torch.Tensor) (sampler.Prediction, error) {
				if at.Step == 1 {
					want, last, known = torch.Values[float32](x), torch.Values[float32](at.Last), torch.Values[uint8](at.Known)
				}
				return denoise(at, x)
			})
			require.NoError(t, err)
			noise := counted()
			x := noise(s, shape)
			p, err := denoise(sampler.Moment{T: 900}, x)
			require.NoError(t, err)
			got, at, err := c.Advance(context.Background(), x, p, 900, 300, noise, denoise)
			require.NoError(t, err)
			require.Equal(t, want, torch.Values[float32](got), sm)
			require.Equal(t, []int{1, 300}, []int{at.Step, at.T})
			require.Equal(t, last, torch.Values[float32](at.Last))
			require.Equal(t, known, torch.Values[uint8](at.Known))
			_, _, err = c.Advance(context.Background(), x, sampler.Prediction{X0: x}, 900, 300, noise, denoise)
			var e *sampler.StepError
			require.ErrorAs(t, err, &e, "no scores to renew by")
			return nil
		}))
	}
}
