package train

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/golden"
)

// configOf writes a config file on top of the golden case's.
func configOf(t *testing.T, text string) string {
	t.Helper()
	base, err := filepath.Abs(filepath.Join(golden.Dir("mini_train_r50s"), "config.yaml"))
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(path, []byte("_BASE_: "+base+"\n"+text), 0o600))
	return path
}

func TestLoadOptions(t *testing.T) {
	o, batch, err := LoadOptions(configOf(t, ""), nil)
	require.NoError(t, err)
	require.Equal(t, 2, batch)
	require.Equal(t, Objective{ClassWeight: 2, L1Weight: 5, GIoUWeight: 2, Alpha: 0.25, Gamma: 2, BestIoUs: 5}, o.Objective)
	require.Equal(t, []float64{1e-3, 1e-4, 1, 1}, []float64{o.Rate, o.Decay, o.Clip, o.BackboneRate})
	require.Equal(t, []string{"backbone.bottom_up.stem.", "backbone.bottom_up.res2."}, o.Frozen)
	for step, want := range map[int]float64{0: 0.01, 500: 0.505, 1000: 1, 349999: 1, 350000: 0.1, 420000: 0.01} {
		require.InDelta(t, want, o.Schedule.Factor(step), 1e-9, "step %d", step)
	}

	o, _, err = LoadOptions(configOf(t, `
MODEL:
  BACKBONE: {FREEZE_AT: 0}
  DiffusionInst: {USE_FED_LOSS: true, USE_FOCAL: false, NUM_CLASSES: 3, DEEP_SUPERVISION: false}
SOLVER:
  OPTIMIZER: SGD
  LR_SCHEDULER_NAME: WarmupCosineLR
  WARMUP_METHOD: constant
  WEIGHT_DECAY: 0.0
  CLIP_GRADIENTS: {ENABLED: false}
MODEL_EMA: {ENABLED: true, DECAY: 0.99}
`), []int{4, 9, 0})
	require.NoError(t, err)
	require.Equal(t, &Federated{Weights: []float32{2, 3, 0}, Classes: 50}, o.Objective.Federated)
	require.True(t, o.Objective.NoFocal)
	require.True(t, o.Objective.LastStage)
	require.Empty(t, o.Frozen)
	require.NotNil(t, o.Frozen)
	require.Equal(t, 0.99, o.EMA)
	o, err = o.withDefaults(3)
	require.NoError(t, err)
	require.Equal(t, []float64{0, 0}, []float64{o.Decay, o.Clip})
	require.InDelta(t, 0.01, o.Schedule.Factor(500), 1e-4)
	sgd := o.Optimizer(nil)
	defer sgd.Close()
	require.Equal(t, "sgd.steps", sgd.State()[0].Name)

	_, _, err = LoadOptions(configOf(t, "SOLVER: {CLIP_GRADIENTS: {CLIP_TYPE: value}}\n"), nil)
	require.ErrorContains(t, err, "CLIP_GRADIENTS")
	_, _, err = LoadOptions(filepath.Join(t.TempDir(), "none.yaml"), nil)
	require.ErrorIs(t, err, os.ErrNotExist)
}
