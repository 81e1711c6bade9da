package train

import (
	"bytes"
	"context"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/backbone"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// everything is all that a trainer remembers: bytes of every tensor, and the rest.
func everything(t *testing.T, tr *Trainer) (map[string][]byte, memory) {
	t.Helper()
	tensors := map[string][]byte{}
	var m memory
	require.NoError(t, torch.Do(context.Background(), func(s *torch.Scope) error {
		for _, p := range tr.tensors() {
			tensors[p.Name] = s.Adopt(p.Tensor).Detach().Bytes()
		}
		var err error
		m, err = tr.memory()
		return err
	}))
	return tensors, m
}

// requireSame compares two states bit for bit.
func requireSame(t *testing.T, want, got *Trainer) {
	t.Helper()
	a, memoryA := everything(t, want)
	b, memoryB := everything(t, got)
	require.Empty(t, cmp.Diff(memoryA, memoryB))
	require.Equal(t, len(a), len(b))
	for name, data := range a {
		require.True(t, bytes.Equal(data, b[name]), name)
	}
}

func steps(t *testing.T, tr *Trainer, n int) []*Report {
	t.Helper()
	var out []*Report
	for range n {
		r, err := tr.Step(context.Background(), pictures(2))
		require.NoError(t, err)
		out = append(out, r)
	}
	return out
}

// batchNormed is a small configuration whose backbone's norms learn.
func batchNormed() diffusioninst.Config {
	c := small(2)
	c.Backbone = backbone.ResNetFPN{Channels: 16, ResNet: backbone.ResNet{Depth: 18, StemChannels: 8, Res2Channels: 8, Norm: nn.BatchNorm}}
	return c
}

// randomlyDeep is a small configuration with stochastic depth.
func randomlyDeep() diffusioninst.Config {
	c := small(2)
	c.Backbone = backbone.SwinFPN{Channels: 16, Swin: backbone.Swin{Size: "XXS", DropRate: 0.5}}
	return c
}

func sgd(groups []nn.ParamGroup) nn.Optimizer {
	return nn.NewSGD(groups, nn.SGDOptions{Momentum: 0.9, Nesterov: true})
}

func TestResumedRunsAreThoseThatWereNotInterrupted(t *testing.T) {
	for name, c := range map[string]struct {
		config  diffusioninst.Config
		options Options
	}{
		"frozen norms":     {small(2), Options{EMA: 0.9}},
		"batch norm":       {batchNormed(), Options{EMA: 0.5, Frozen: []string{}}},
		"SGD":              {small(2), Options{Optimizer: sgd}},
		"stochastic depth": {randomlyDeep(), Options{Frozen: []string{}}},
		"float64":          {small(2), Options{Float64: true, EMA: 0.9}},
		"own estimates":    {conditioned(small(2)), Options{OwnSteps: 0.3}},
	} {
		t.Run(name, func(t *testing.T) {
			options := func(seed uint64) Options {
				o := c.options
				o.Rate, o.Schedule, o.Seed = 2e-3, nn.Warmup{Steps: 4, From: 0.1, Schedule: nn.Cosine{Steps: 9}}, seed
				return o
			}
			path := filepath.Join(t.TempDir(), "state.safetensors")
			whole := newTrainer(t, c.config, options(1))
			steps(t, whole, 2)
			require.NoError(t, whole.Save(context.Background(), path, []byte("note\x00\xff")))
			want := steps(t, whole, 3)

			// Another seed, and steps of its own: all of it is replaced.
			resumed := newTrainer(t, c.config, options(2))
			steps(t, resumed, 1)
			note, err := resumed.Resume(context.Background(), path)
			require.NoError(t, err)
			require.Equal(t, []byte("note\x00\xff"), note)
			require.Equal(t, 2, resumed.Steps())
			require.Empty(t, cmp.Diff(want, steps(t, resumed, 3)))
			requireSame(t, whole, resumed)
		})
	}
}

func TestSavingChangesNothing(t *testing.T) {
	dir := t.TempDir()
	tr := newTrainer(t, randomlyDeep(), Options{EMA: 0.9, Frozen: []string{}})
	steps(t, tr, 1)
	tensors, m := everything(t, tr)
	live := torch.Live()
	for _, name := range []string{"a", "b"} {
		require.NoError(t, tr.Save(context.Background(), filepath.Join(dir, name), nil))
	}
	require.Equal(t, live, torch.Live())
	after, n := everything(t, tr)
	require.Empty(t, cmp.Diff(m, n))
	require.True(t, maps.EqualFunc(tensors, after, bytes.Equal))
	a, err := os.ReadFile(filepath.Join(dir, "a"))
	require.NoError(t, err)
	b, err := os.ReadFile(filepath.Join(dir, "b"))
	require.NoError(t, err)
	require.True(t, bytes.Equal(a, b), "the same state is the same file")
}

func TestBatchesAreCounted(t *testing.T) {
	tr := newTrainer(t, small(2), Options{})
	_, err := tr.Step(context.Background(), pictures(2), pictures(2))
	require.NoError(t, err)
	steps(t, tr, 1)
	_, m := everything(t, tr)
	require.Equal(t, int64(3), m.Batches["head.mask_refine.0.1"])
}

// refused asserts that resuming fails and leaves the trainer alone.
func refused(t *testing.T, tr *Trainer, path string) error {
	t.Helper()
	tensors, m := everything(t, tr)
	live := torch.Live()
	_, err := tr.Resume(context.Background(), path)
	var e *StateError
	require.ErrorAs(t, err, &e)
	require.Equal(t, path, e.Path)
	require.Equal(t, live, torch.Live())
	after, n := everything(t, tr)
	require.Empty(t, cmp.Diff(m, n), "a refused state changes nothing")
	require.True(t, maps.EqualFunc(tensors, after, bytes.Equal), "a refused state changes nothing")
	return err
}

func TestStatesOfOtherModelsAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	saved := newTrainer(t, small(2), Options{EMA: 0.9})
	steps(t, saved, 1)
	require.NoError(t, saved.Save(context.Background(), path, nil))

	wide := small(2)
	wide.Decoder.FeedForward = 24
	wide.Decoder.Stages = 3
	err := refused(t, newTrainer(t, wide, Options{Optimizer: sgd}), path)
	var e *nn.LoadError
	require.ErrorAs(t, err, &e)
	require.Contains(t, e.Missing, "model.head.head_series.2.class_logits.bias")
	require.Contains(t, e.Missing, "optimizer.sgd.steps")
	require.Contains(t, e.Unexpected, "optimizer.adamw.steps")
	require.Contains(t, e.Unexpected, "average.head.head_series.0.class_logits.bias", "no averages wanted")
	require.Contains(t, e.Mismatched, nn.Mismatch{Name: "model.head.head_series.0.linear1.weight", Want: []int{24, 16}, Have: []int{16, 16}})

	err = refused(t, newTrainer(t, small(2), Options{EMA: 0.9, Float64: true}), path)
	require.ErrorAs(t, err, &e)
	require.ErrorContains(t, err, "the trainer wants float64, the file has float32")

	err = refused(t, newTrainer(t, small(3), Options{EMA: 0.9}), path)
	require.ErrorContains(t, err, `of the classes ["a" "b"], the trainer of ["a" "b" "c"]`)
	err = refused(t, newTrainer(t, small(2), Options{EMA: 0.9, Draws: fixed{}}), path)
	require.ErrorContains(t, err, "state of draws")
	other := newTrainer(t, small(2), Options{EMA: 0.9, Draws: fixed{}})
	require.NoError(t, other.Save(context.Background(), path, nil))
	require.ErrorContains(t, refused(t, saved, path), "no state of draws")
}

func TestDamagedStatesAreRefused(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state")
	tr := newTrainer(t, small(2), Options{})
	steps(t, tr, 1)
	require.NoError(t, tr.Save(context.Background(), path, []byte("note")))
	whole, err := os.ReadFile(path)
	require.NoError(t, err)

	bad := filepath.Join(dir, "bad")
	for _, n := range []int{9, 100, len(whole) / 2, len(whole) - 1} {
		require.NoError(t, os.WriteFile(bad, whole[:n], 0o600))
		require.ErrorIs(t, refused(t, tr, bad), ErrCorrupt, "cut to %d bytes", n)
	}
	// Bits that flip in the step counter, in the values and in the checksum.
	for _, at := range []int{bytes.Index(whole, []byte(`\"step\":1`)) + 9, len(whole) / 2, len(whole) - 5, len(whole) - 1} {
		spoilt := bytes.Clone(whole)
		spoilt[at] ^= 2
		require.NoError(t, os.WriteFile(bad, spoilt, 0o600))
		require.ErrorIs(t, refused(t, tr, bad), ErrCorrupt, "byte %d", at)
	}
	require.NoError(t, os.WriteFile(bad, nil, 0o600))
	require.ErrorContains(t, refused(t, tr, bad), "empty")
	require.ErrorIs(t, refused(t, tr, filepath.Join(dir, "none")), fs.ErrNotExist)

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = tr.Resume(ctx, path)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, tr.Save(ctx, path, nil), context.Canceled)
	now, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, bytes.Equal(whole, now), "the state before is intact")
}
