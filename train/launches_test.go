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
		t.Run("Results", func(t *testing.T) { learnsAsTheCPU(t, torch.CUDA(0)) })
		t.Run("Losses", fusedLosses)
		t.Run("OutOfMemory", runsOutOfMemory)
		return
	}
	env := fakecuda.Build(t)
	for _, part := range []string{"Counts", "Results", "Losses", "OutOfMemory"} { // each has the time limit of a process
		fakecuda.Run(t, env, "^TestLaunches$/^"+part+"$")
	}
}

func countSteps(t *testing.T) {
	c := small(2)
	c.Decoder.Stages = 6
	for _, k := range []struct {
		name                                  string
		conditioned                           bool
		options                               Options
		operators, launches, transfers, waits int64
	}{
		{"plain", false, Options{}, 1700, 1350, 7, 3},
		{"own steps", false, Options{OwnSteps: 1}, 2400, 1700, 14, 4},
		{"own estimates", true, Options{}, 2400, 1700, 15, 4},
		{"losses scaled as in float16", false, Options{}, 1750, 1350, 7, 3},
	} {
		k.options.Seed, k.options.Schedule = 5, nn.ConstantRate{}
		c.Decoder.SelfConditioning = k.conditioned
		tr := newTrainerOn(t, torch.CUDA(0), c, k.options)
		if k.name == "losses scaled as in float16" { // float16 itself is more than the fake GPU's LibTorch computes
			tr.scale = &lossScale{Value: 1024}
		}
		batch := pictures(2)
		step := func() {
			r, err := tr.Step(context.Background(), batch)
			require.NoError(t, err)
			require.False(t, r.Skipped)
		}
		step() // what is made once
		n := torch.Count(step)
		t.Logf("%s: operators %d, launches %d, of own kernels %d, transfers %d, synchronisations %d",
			k.name, n.Operators, n.Started+n.Launches, n.Launches, n.Transfers, n.Waits)
		require.LessOrEqual(t, n.Waits, k.waits, k.name)
		require.LessOrEqual(t, n.Operators, k.operators, k.name)
		require.LessOrEqual(t, n.Started+n.Launches, k.launches, k.name)
		require.LessOrEqual(t, n.Transfers, k.transfers, k.name)
	}
}
