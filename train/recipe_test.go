package train

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/internal/golden"
	"github.com/diffusioninst/go/torch"
	"github.com/diffusioninst/go/train/data"
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

func TestLoadRecipe(t *testing.T) {
	r, err := LoadRecipe(configOf(t, ""), nil)
	require.NoError(t, err)
	end, err := LoadRecipe(configOf(t, "SOLVER:\n  CHECKPOINT_PERIOD: 0\n"), nil)
	require.NoError(t, err)
	require.Equal(t, -1, end.SaveEvery, "one checkpoint, at the end")
	o := r.Options
	require.Equal(t, []int{2, 450000, 5000, 5000, 100}, []int{r.Batch, r.Steps, r.SaveEvery, r.EvaluateEvery, r.Detections})
	require.Equal(t, Objective{ClassWeight: 2, L1Weight: 5, GIoUWeight: 2, Alpha: 0.25, Gamma: 2, BestIoUs: 5}, o.Objective)
	require.Equal(t, []float64{1e-3, 1e-4, 1, 1}, []float64{o.Rate, o.Decay, o.Clip, o.BackboneRate})
	require.Equal(t, []string{"backbone.bottom_up.stem.", "backbone.bottom_up.res2."}, o.Frozen)
	none, err := LoadRecipe(configOf(t, "MODEL:\n  DiffusionInst: {CLASS_WEIGHT: 0.0, L1_WEIGHT: 0.0, GIOU_WEIGHT: 0.0, ALPHA: 0.0, GAMMA: 0.0}\nSOLVER: {BACKBONE_MULTIPLIER: 0.0}\n"), nil)
	require.NoError(t, err)
	zero := none.Options.Objective
	require.Equal(t, []float64{-1, -1, -1, -1, -1, -1}, []float64{zero.ClassWeight, zero.L1Weight, zero.GIoUWeight, zero.Alpha, zero.Gamma, none.Options.BackboneRate}, "none, not the paper's")
	for step, want := range map[int]float64{0: 0.01, 500: 0.505, 1000: 1, 349999: 1, 350000: 0.1, 420000: 0.01} {
		require.InDelta(t, want, o.Schedule.Factor(step), 1e-9, "step %d", step)
	}

	r, err = LoadRecipe(configOf(t, `
MODEL:
  BACKBONE: {FREEZE_AT: 0}
  RESNETS: {NORM: SyncBN}
  DiffusionInst: {USE_FED_LOSS: true, USE_FOCAL: false, NUM_CLASSES: 3, DEEP_SUPERVISION: false, MASK_COVERAGE: true, REL_COORDS: true, SCORE_TARGET: mask, OWN_STEPS: 0.5, SELF_CONDITIONING: true}
SOLVER:
  OPTIMIZER: SGD
  LR_SCHEDULER_NAME: WarmupCosineLR
  WARMUP_METHOD: constant
  WEIGHT_DECAY: 0.0
  CLIP_GRADIENTS: {ENABLED: false}
  AMP: {ENABLED: true}
  FROZEN: [backbone., head.head_series.0.]
MODEL_EMA: {ENABLED: true, DECAY: 0.99}
INPUT: {COPY_PASTE: 0.5}
`), []int{4, 9, 0})
	require.NoError(t, err)
	o = r.Options
	require.Equal(t, &Federated{Weights: []float32{2, 3, 0}, Classes: 50}, o.Objective.Federated)
	require.Equal(t, torch.BFloat16, o.Precision)
	require.Equal(t, []float64{0.5, 0.5}, []float64{r.CopyPaste, o.OwnSteps})
	require.True(t, o.SyncBatchNorm)
	require.True(t, o.Objective.NoFocal)
	require.True(t, o.Objective.LastStage)
	require.True(t, o.Objective.MaskCoverage)
	require.Equal(t, ScoreMaskIoU, o.Objective.ScoreTarget)
	require.Equal(t, []string{"backbone.", "head.head_series.0."}, o.Frozen)
	require.Equal(t, 0.99, o.EMA)
	o, err = o.withDefaults(3)
	require.NoError(t, err)
	require.Equal(t, []float64{0, 0}, []float64{o.Decay, o.Clip})
	require.InDelta(t, 0.01, o.Schedule.Factor(500), 1e-4)
	sgd := o.Optimizer(nil)
	defer sgd.Close()
	require.Equal(t, "sgd.steps", sgd.State()[0].Name)

	_, err = LoadRecipe(configOf(t, "SOLVER: {CLIP_GRADIENTS: {CLIP_TYPE: value}}\n"), nil)
	require.ErrorContains(t, err, "CLIP_GRADIENTS")
	file, err := diffusioninst.OpenConfig(configOf(t, ""))
	require.NoError(t, err)
	same, err := NewRecipe(file, nil)
	require.NoError(t, err)
	again, err := LoadRecipe(configOf(t, ""), nil)
	require.NoError(t, err)
	require.Equal(t, again, same)
	_, err = NewRecipe(&diffusioninst.ConfigFile{}, nil)
	require.ErrorContains(t, err, "OpenConfig")
	_, err = LoadRecipe(filepath.Join(t.TempDir(), "none.yaml"), nil)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestRecipeOfOtherLength(t *testing.T) {
	r, err := LoadRecipe(configOf(t, "SOLVER: {LR_SCHEDULER_NAME: WarmupCosineLR, WARMUP_ITERS: 0, MAX_ITER: 100}\nCUDNN_BENCHMARK: true\n"), nil)
	require.NoError(t, err)
	require.True(t, r.CuDNNBenchmark)
	require.InDelta(t, 0.5, r.Options.Schedule.Factor(50), 1e-9)
	require.NoError(t, r.SetSteps(200))
	require.Equal(t, 200, r.Steps)
	require.InDelta(t, 0.5, r.Options.Schedule.Factor(100), 1e-9)
}

func TestShortRunHasShortWarmup(t *testing.T) {
	r, err := LoadRecipe(configOf(t, "SOLVER: {LR_SCHEDULER_NAME: WarmupCosineLR, WARMUP_ITERS: 200, WARMUP_FACTOR: 0.01, MAX_ITER: 14000}\n"), nil)
	require.NoError(t, err)
	for steps, warmup := range map[int]int{300: 60, 1000: 200, 20000: 200} {
		require.NoError(t, r.SetSteps(steps))
		require.Equal(t, warmup, r.WarmupSteps)
		require.InDelta(t, 0.01, r.Options.Schedule.Factor(0), 1e-9)
		require.Greater(t, r.Options.Schedule.Factor(warmup), 0.9)
	}
	r, err = LoadRecipe(configOf(t, "SOLVER: {WARMUP_ITERS: 200, STEPS: [1000]}\n"), nil)
	require.NoError(t, err)
	require.NoError(t, r.SetSteps(300))
	require.Equal(t, 200, r.WarmupSteps)
}

func TestAugmentationOfRecipe(t *testing.T) {
	sides := []int{480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800}
	for text, want := range map[string]data.Chain{
		"": {
			data.Flip{Horizontal: 0.5},
			data.Sometimes{Probability: 0.5, Then: data.Chain{
				data.ResizeShortest{Short: []int{400, 500, 600}},
				data.RandomCrop{Width: data.Range{Min: 384, Max: 600}, Height: data.Range{Min: 384, Max: 600}},
			}},
			data.ResizeShortest{Short: sides, Longest: 1333},
		},
		"INPUT: {RANDOM_FLIP: none, CROP: {ENABLED: false}, MIN_SIZE_TRAIN: [300, 400], MIN_SIZE_TRAIN_SAMPLING: range}": {
			data.ResizeShortest{Short: []int{300, 400}, Between: true, Longest: 1333},
		},
		"INPUT: {RANDOM_FLIP: both, ROTATE: True, SCALE_RANGE: [0.5, 2], CROP: {TYPE: absolute, SIZE: [96, 128]}}": {
			data.Flip{Horizontal: 0.5, Vertical: 0.5}, data.Rotate90{},
			data.Scale{Factor: data.Range{Min: 0.5, Max: 2}, Width: 128, Height: 96},
		},
		"INPUT: {RANDOM_FLIP: horizontal, ROTATE: True, SCALE_RANGE: [0.5, 2], CROP: {TYPE: absolute, SIZE: [96, 96]}}": {
			data.Scale{Factor: data.Range{Min: 0.5, Max: 2}, Width: 96, Height: 96},
			data.Flip{Horizontal: 0.5}, data.Rotate90{},
		},
		"INPUT: {RANDOM_FLIP: vertical, SCALE_RANGE: [1, 1], CROP: {TYPE: relative_range, SIZE: [0.5, 0.25]}, COLOR_JITTER: {HUE: 0.1}}": {
			data.Flip{Vertical: 0.5},
			data.Scale{Factor: data.Range{Min: 1, Max: 1}},
			data.RandomCrop{Width: data.Range{Min: 0.25, Max: 1}, Height: data.Range{Min: 0.5, Max: 1}, Relative: true},
			data.ColorJitter{Hue: 0.1},
		},
		"INPUT: {LARGE_SCALE_JITTER: {ENABLED: True, SIZE: 640}}": {
			data.Flip{Horizontal: 0.5},
			data.LargeScaleJitter{Factor: data.Range{Min: 0.1, Max: 2}, Width: 640, Height: 640},
		},
	} {
		r, err := LoadRecipe(configOf(t, text+"\n"), nil)
		require.NoError(t, err, text)
		require.Equal(t, want, r.Augment, text)
	}
}
