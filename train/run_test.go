package train

import (
	"context"
	"errors"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/internal/detectron2"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/train/data"
	"github.com/diffusioninst/go/train/journal"
)

// turns are batches that take turns: the pictures with and without objects.
type turns struct {
	at   int64
	fail map[int64]error
}

func (b *turns) Next(ctx context.Context) ([]data.Sample, error) {
	if err := errors.Join(ctx.Err(), b.fail[b.at]); err != nil {
		return nil, err
	}
	all := pictures(2)
	b.at++
	return all[b.at%3 : b.at%3+1], nil
}

func (b *turns) Position() int64 { return b.at }

func (b *turns) SeekTo(n int64) error {
	b.at = n
	return nil
}

// newRun is a run of 6 steps that is saved after every second and evaluated after every third.
func newRun(t *testing.T, folder string) *Run {
	o := Options{Frozen: []string{}, EMA: 0.9, Rate: 1e-3, Seed: 5}
	return &Run{
		Trainer: newTrainer(t, batchNormed(), o), Batches: &turns{}, Folder: folder, Steps: 6, Parts: 2,
		SaveEvery: 2, EvaluateEvery: 3, Best: "count", Data: "turns",
		Evaluate: func(ctx context.Context, m *diffusioninst.Model) ([]journal.Scalar, error) {
			return []journal.Scalar{{Name: "count", Value: float64(m.Parameters())}}, ctx.Err()
		},
	}
}

func table(t *testing.T, folder, name string) []journal.Series {
	t.Helper()
	out, err := journal.Read(filepath.Join(folder, name+".csv"))
	require.NoError(t, err)
	require.NotEmpty(t, out)
	return out
}

func requireSameTable(t *testing.T, name, want, got string) {
	t.Helper()
	require.Empty(t, cmp.Diff(table(t, want, name), table(t, got, name), cmpopts.IgnoreFields(journal.Point{}, "Time")))
}

func TestRunWithoutEvaluationHasNoBest(t *testing.T) {
	r := newRun(t, filepath.Join(t.TempDir(), "run"))
	r.Evaluate = nil
	require.ErrorContains(t, r.Do(context.Background()), "no best count")
	require.NoDirExists(t, r.Folder)
}

func TestRunStopsAndGoesOn(t *testing.T) {
	whole := newRun(t, t.TempDir())
	require.NoError(t, whole.Do(context.Background()))
	require.EqualValues(t, 12, whole.Batches.Position())
	for _, name := range []string{LastCheckpoint, BestCheckpoint, "train.csv", "evaluation.csv"} {
		require.FileExists(t, filepath.Join(whole.Folder, name))
	}
	// Stopped in a step, before an evaluation, in one, and behind the last step.
	folder := t.TempDir()
	for i, stop := range []int{1, 2, 3, 5, 6, 7} {
		part := newRun(t, folder)
		if i > 0 {
			part.Resume = LastCheckpoint
		}
		ctx, cancel := context.WithCancel(context.Background())
		part.OnStep = func(p Progress) {
			require.Equal(t, 2, p.Pictures)
			if p.Step+1 == stop {
				cancel()
			}
		}
		err := part.Do(ctx)
		cancel()
		if stop > 6 {
			require.NoError(t, err)
			requireSame(t, whole.Trainer, part.Trainer)
		} else {
			require.ErrorIs(t, err, context.Canceled, "stop %d", stop)
		}
	}
	requireSameTable(t, "train", whole.Folder, folder)
	requireSameTable(t, "evaluation", whole.Folder, folder)
}

func TestOtherDataSaysWhatDiffers(t *testing.T) {
	const data = "8 pictures of 2 classes in batches of 4, seed 0"
	for now, want := range map[string][2]string{
		"8 pictures of 2 classes in batches of 6, seed 0":  {"batches of 4", "batches of 6"},
		"9 pictures of 2 classes in batches of 4, seed 0":  {"8 pictures", "9 pictures"},
		"8 pictures of 3 classes in batches of 4, seed 11": {"2 classes, seed 0", "3 classes, seed 11"},
		"others": {data, "others"},
	} {
		then, other := differences(data, now)
		require.Equal(t, want, [2]string{then, other})
	}
}

func TestRunRefuses(t *testing.T) {
	done := newRun(t, t.TempDir())
	done.Steps = 1
	require.NoError(t, done.Do(context.Background()))
	again := newRun(t, done.Folder)
	require.ErrorIs(t, again.Do(context.Background()), ErrRunExists)
	again.Resume, again.Data = LastCheckpoint, "others"
	require.ErrorContains(t, again.Do(context.Background()), "other data: turns, not others")
	again.Resume = "none.safetensors"
	require.ErrorIs(t, again.Do(context.Background()), os.ErrNotExist)
	again.Steps = 0
	require.ErrorContains(t, again.Do(context.Background()), "0 steps")
}

// A run that goes on with other settings says which, once.
func TestRunSaysWhatHasChanged(t *testing.T) {
	run := newRun(t, t.TempDir())
	run.Steps, run.Settings = 1, map[string]string{"rate": "1", "size": "2", "old": "3"}
	require.NoError(t, run.Do(context.Background()))
	for i, want := range [][]string{{"rate was 1 and is 4", "size was 2 and is 5"}, nil} {
		again := newRun(t, run.Folder)
		again.Resume, again.Steps, again.Settings = LastCheckpoint, 2+i, map[string]string{"rate": "4", "size": "5", "new": "6"}
		var said []string
		again.OnChange = func(changes []string) { said = append(said, changes...) }
		require.NoError(t, again.Do(context.Background()))
		require.Equal(t, want, said)
	}
}

// Settings name all keys that change what is learned, and each exception is a key.
func TestRecipeSettings(t *testing.T) {
	all := (&detectron2.Config{}).Settings()
	for _, start := range elsewhere {
		require.True(t, slices.ContainsFunc(slices.Collect(maps.Keys(all)), func(key string) bool { return strings.HasPrefix(key, start) }), start)
	}
	base, err := filepath.Abs("../nuclei/train_cpu.yaml")
	require.NoError(t, err)
	settings := func(text string) map[string]string {
		path := filepath.Join(t.TempDir(), "config.yaml")
		require.NoError(t, os.WriteFile(path, []byte("_BASE_: "+base+"\n"+text), 0o666))
		r, err := LoadRecipe(path, nil)
		require.NoError(t, err)
		return r.Settings
	}
	plain := settings("")
	for key, text := range map[string]string{
		"SOLVER.BASE_LR":                    "SOLVER: {BASE_LR: 3.0e-3}",
		"SOLVER.FROZEN":                     "SOLVER: {FROZEN: [backbone.]}",
		"SOLVER.CLIP_GRADIENTS.CLIP_VALUE":  "SOLVER: {CLIP_GRADIENTS: {CLIP_VALUE: 7.0}}",
		"MODEL.DiffusionInst.MASK_COVERAGE": "MODEL: {DiffusionInst: {MASK_COVERAGE: true}}",
		"INPUT.COPY_PASTE":                  "INPUT: {COPY_PASTE: 0.5}",
		"MODEL_EMA.DECAY":                   "MODEL_EMA: {DECAY: 0.5}",
		"none":                              "SOLVER: {MAX_ITER: 7}",
	} {
		changed := settings(text)
		require.Len(t, changed, len(plain))
		for name, value := range changed {
			require.Equal(t, name != key, value == plain[name], "%s with %s", name, text)
		}
	}
}

func TestRunKeepsTheCheckpointWhenDataFails(t *testing.T) {
	run := newRun(t, t.TempDir())
	broken := errors.New("a broken picture")
	run.Batches = &turns{fail: map[int64]error{7: broken}}
	require.ErrorIs(t, run.Do(context.Background()), broken)
	again := newRun(t, run.Folder)
	again.Resume, again.Steps = LastCheckpoint, 3
	require.NoError(t, again.Do(context.Background()))
}

// A failed step can be repeated from what it leaves.
func TestRunSavesWhatFailed(t *testing.T) {
	run := newRun(t, t.TempDir())
	run.Trainer.options.Rate = math.MaxFloat32
	lost := (*nn.NotFiniteError)(nil)
	require.ErrorAs(t, run.Do(context.Background()), &lost)
	failed := run.Trainer.steps
	require.Positive(t, failed)
	again := newRun(t, run.Folder)
	again.Resume = FailedCheckpoint
	repeated := (*nn.NotFiniteError)(nil)
	require.ErrorAs(t, again.Do(context.Background()), &repeated)
	require.Equal(t, failed, again.Trainer.steps)
	require.Equal(t, [2]any{lost.Where, lost.Stage}, [2]any{repeated.Where, repeated.Stage})
	require.Equal(t, lost.Samples, repeated.Samples)
}
