package train

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/fakecuda"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// A training step on a GPU costs a bounded number of operators and of moments at which the host waits for the
// GPU, and learns what the CPU does. No GPU is needed: see package fakecuda.
func TestLaunches(t *testing.T) {
	if fakecuda.Inside() {
		t.Run("Counts", countSteps)
		t.Run("Results", compareSteps)
		return
	}
	fakecuda.Run(t, fakecuda.Build(t), "^TestLaunches$")
}

// compareSteps is in float64: in float32 a match soon falls to another proposal, and the losses are others.
func compareSteps(t *testing.T) {
	o := Options{Rate: 2e-3, Schedule: nn.ConstantRate{}, Seed: 5, EMA: 0.9, Frozen: []string{}, OwnSteps: 0.5, Float64: true}
	want := steps(t, newTrainer(t, small(2), o), 3)
	got := steps(t, newTrainerOn(t, torch.CUDA(0), small(2), o), 3)
	for i := range want {
		for k, l := range want[i].Losses {
			require.Equal(t, l.Name, got[i].Losses[k].Name)
			require.InEpsilon(t, l.Value, got[i].Losses[k].Value, 1e-6, "step %d: %s", i, l.Name)
		}
		require.InEpsilon(t, want[i].Norm, got[i].Norm, 1e-6)
	}
}

func countSteps(t *testing.T) {
	c := small(2)
	c.Decoder.Stages = 6
	for _, k := range []struct {
		name             string
		options          Options
		operators, waits int64
	}{
		{"plain", Options{}, 3300, 3},
		{"own steps", Options{OwnSteps: 1}, 4200, 4},
	} {
		k.options.Seed, k.options.Schedule = 5, nn.ConstantRate{}
		tr := newTrainerOn(t, torch.CUDA(0), c, k.options)
		batch := pictures(2)
		step := func() {
			_, err := tr.Step(context.Background(), batch)
			require.NoError(t, err)
		}
		step() // what is made once
		n := torch.Count(step)
		t.Logf("%s: operators %d, launches %d, of own kernels %d, transfers %d, synchronisations %d",
			k.name, n.Operators, n.Started+n.Launches, n.Launches, n.Transfers, n.Waits)
		require.LessOrEqual(t, n.Waits, k.waits, k.name)
		require.LessOrEqual(t, n.Operators, k.operators, k.name)
	}
}
