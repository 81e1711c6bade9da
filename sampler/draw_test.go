package sampler_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/closetest"
	"github.com/diffusioninst/go/internal/fakecuda"
	"github.com/diffusioninst/go/sampler"
	"github.com/diffusioninst/go/torch"
)

// A run on a GPU takes the noise that one on the CPU takes, and uploads it in one copy if the sampler says how
// often it draws.
func TestNoiseIsUploadedOnce(t *testing.T) {
	if !fakecuda.Inside() {
		fakecuda.Run(t, fakecuda.Build(t), "^"+t.Name()+"$")
		return
	}
	run := func(device torch.Device, sm sampler.Sampler, shape ...int) (out []float32, draws int, counts torch.Counts) {
		seeded := sampler.SeededNoise(3)
		noise := func(s *torch.Scope, shape []int) *torch.Tensor {
			draws++
			return seeded(s, shape)
		}
		inDo(t, func(s *torch.Scope) {
			var x0 *torch.Tensor
			counts = torch.Count(func() {
				var err error
				x0, err = sampler.Config{Sampler: sm, Steps: 5, Renewal: sampler.TopFraction(0.5)}.Run(context.Background(), s, device, shape, noise, scored)
				require.NoError(t, err)
			})
			out = torch.Values[float32](x0.To(torch.CPU))
		})
		return out, draws, counts
	}
	silent := stub(func(s *sampler.Step) (*torch.Tensor, error) { return s.X.Add(s.Normal()).Sub(s.Normal()), nil })
	for _, c := range []struct {
		sampler sampler.Sampler
		uploads int64
	}{
		{sampler.DDIM{Eta: 1}, 1}, {sampler.DDIM{}, 1}, {sampler.DDPM{}, 1}, {sampler.DPMSolver2M{Eta: 1}, 1}, {sampler.DPMSolver2M{}, 1},
		{sampler.Euler{}, 1}, {sampler.Heun{}, 1}, {sampler.Restart{}, 1}, {silent, 1 + 2*4},
	} {
		want, drawn, none := run(torch.CPU, c.sampler, 1, 20, 4)
		got, draws, counts := run(torch.CUDA(0), c.sampler, 1, 20, 4)
		closetest.Slices(t, want, got, 1e-5, c.sampler.String())
		require.Len(t, got, len(want))
		require.Equal(t, drawn, draws, c.sampler.String())
		require.Zero(t, none.Transfers)
		require.Equal(t, c.uploads+1, counts.Transfers, "%v: noise, and the answers of the checks", c.sampler)
	}
}

// What does not fit on the GPU at once is drawn when it is needed.
func TestMuchNoise(t *testing.T) {
	if !fakecuda.Inside() {
		fakecuda.Run(t, fakecuda.Build(t), "^"+t.Name()+"$")
		return
	}
	inDo(t, func(s *torch.Scope) {
		counts := torch.Count(func() {
			_, err := sampler.Config{Steps: 3, Renewal: sampler.NoRenewal{}}.Run(context.Background(), s, torch.CUDA(0), []int{1, 1 << 20, 4}, sampler.SeededNoise(1), scored)
			require.NoError(t, err)
		})
		require.Equal(t, int64(1+1+1), counts.Transfers, "four draws of 16 MB, a fifth, and the answers")
	})
}
