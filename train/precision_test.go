package train

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/modeltest"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// Mixed precision starts with the losses of float32 up to rounding, keeps all persistent
// state in float32, and learns as well.
//
// Single runs do not show the last of these: they diverge with any rounding, since a match
// flips. Over 12 seeds of 40 steps, the logarithm of the final loss against float32's has a
// mean of -0.07 and a standard deviation of 0.16 for bfloat16, and of -0.05 and 0.16 for
// float32 whose weights start off by 1e-7. After 16 to 20 steps the deviation is 0.06 to
// 0.12; so the mean of four seeds stays below 0.15, three standard errors, unless mixed
// precision learns worse.
func TestMixedPrecisionTracksFloat32(t *testing.T) {
	modeltest.EachDevice(t, func(t *testing.T, device torch.Device) {
		const seeds, count = 4, 16
		run := func(seed uint64, precision torch.DType) (*Trainer, []*Report) {
			o := Options{Rate: 2e-3, Schedule: nn.ConstantRate{}, Seed: seed, EMA: 0.9, Frozen: []string{}, Precision: precision}
			tr := newTrainerOn(t, device, batchNormed(), o)
			return tr, steps(t, tr, count)
		}
		end := func(reports []*Report) (sum float64) {
			for _, r := range reports[count-4:] {
				sum += r.Total / 4
			}
			return sum
		}
		needs(t, device, torch.BFloat16)
		precisions := []torch.DType{torch.BFloat16}
		if device.IsCUDA() {
			precisions = append(precisions, torch.Float16)
		}
		worse := map[torch.DType][]float64{} // of each seed: log of the final loss against float32's
		off := map[string][]float64{}        // of each loss of the first step: its relative errors
		for seed := range uint64(seeds) {
			_, want := run(seed, torch.Float32)
			require.Less(t, end(want), 0.9*want[0].Total, "it learns")
			for _, precision := range precisions {
				mixed, got := run(seed, precision)
				worse[precision] = append(worse[precision], math.Log(end(got)/end(want)))
				skipped := 0
				for _, r := range got {
					if r.Skipped {
						skipped++
					}
				}
				require.Less(t, skipped, count/2, "%v", precision)
				for i, l := range want[0].Losses {
					off[l.Name] = append(off[l.Name], math.Abs(got[0].Losses[i].Value/l.Value-1))
					require.NotEqual(t, l.Value, got[0].Losses[i].Value, "%s: not in %v", l.Name, precision)
				}
				for _, p := range mixed.tensors() {
					require.Contains(t, []torch.DType{torch.Float32, torch.Int64}, p.Tensor.DType(), p.Name)
				}
			}
		}
		for name, errs := range off {
			slices.Sort(errs)
			require.Less(t, errs[len(errs)/2], 0.05, "%s: %.3g", name, errs) // in the median: a match may flip
		}
		for precision, logs := range worse {
			mean := 0.0
			for _, v := range logs {
				mean += v / seeds
			}
			t.Logf("%v on %v: log of the final loss against float32's %.3f, mean %.3f", precision, device, logs, mean)
			require.Less(t, mean, 0.15, "%v: %.3f", precision, logs)
		}
	})
}

// needs skips a test where the device lacks a precision, which New then refuses.
func needs(t *testing.T, device torch.Device, precision torch.DType) {
	t.Helper()
	if lacking := device.CheckPrecision(t.Context(), precision); lacking != nil {
		_, err := New(t.Context(), small(2), nn.FromSeed(1), device, Options{Precision: precision})
		require.ErrorContains(t, err, "use float32")
		t.Skip(lacking)
	}
}

// A network as small as this one reacts to rounding, and a match may flip: the gradient's
// norm is that of float32 in the median of several starts.
func TestMixedPrecisionGradients(t *testing.T) {
	needs(t, torch.CPU, torch.BFloat16)
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
