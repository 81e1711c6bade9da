package train

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/modeltest"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// Mixed precision gives the losses of float32 but for rounding, keeps everything that
// lasts in float32, and learns as fast.
func TestMixedPrecisionTracksFloat32(t *testing.T) {
	modeltest.EachDevice(t, func(t *testing.T, device torch.Device) {
		run := func(precision torch.DType) (*Trainer, []*Report) {
			o := Options{Rate: 2e-3, Schedule: nn.ConstantRate{}, Seed: 5, EMA: 0.9, Frozen: []string{}, Precision: precision}
			tr := newTrainerOn(t, device, batchNormed(), o)
			return tr, steps(t, tr, 40)
		}
		end := func(reports []*Report) (sum float64) {
			for _, r := range reports[30:] {
				sum += r.Total / 10
			}
			return sum
		}
		_, want := run(torch.Float32)
		require.Less(t, end(want), 0.9*want[0].Total, "it learns")
		precisions := []torch.DType{torch.BFloat16}
		if device.IsCUDA() {
			precisions = append(precisions, torch.Float16)
		}
		for _, precision := range precisions {
			mixed, got := run(precision)
			for i, l := range want[0].Losses {
				require.InEpsilon(t, l.Value, got[0].Losses[i].Value, 0.05, "%v: %s", precision, l.Name) // a match may flip
				require.NotEqual(t, l.Value, got[0].Losses[i].Value, "%s: not in %v", l.Name, precision)
			}
			require.InEpsilon(t, end(want), end(got), 0.1, "%v", precision)
			skipped := 0
			for _, r := range got {
				if r.Skipped {
					skipped++
				}
			}
			require.Less(t, skipped, 20, "%v", precision)
			for _, p := range mixed.tensors() {
				require.Contains(t, []torch.DType{torch.Float32, torch.Int64}, p.Tensor.DType(), p.Name)
			}
		}
	})
}

// A network as small as this one reacts to rounding, and a match may flip: the gradient's
// norm is that of float32 in the median of several starts.
func TestMixedPrecisionGradients(t *testing.T) {
	var ratios []float64
	for seed := range uint64(11) {
		norm := func(precision torch.DType) float64 {
			tr := newTrainer(t, batchNormed(), Options{Seed: seed, Frozen: []string{}, Precision: precision})
			return steps(t, tr, 1)[0].Norm
		}
		ratios = append(ratios, norm(torch.BFloat16)/norm(torch.Float32))
	}
	slices.Sort(ratios)
	require.InDelta(t, 1, ratios[len(ratios)/2], 0.15, "%.3f", ratios)
}

func TestPrecisionsThatCannotBe(t *testing.T) {
	for _, o := range []Options{{Precision: torch.Int64}, {Precision: torch.BFloat16, Float64: true}} {
		_, err := New(context.Background(), small(2), nn.FromSeed(1), torch.CPU, o)
		require.ErrorContains(t, err, "precision")
	}
}
