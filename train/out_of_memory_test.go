package train

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
	"github.com/diffusioninst/go/train/data"
)

// listed are batches, one after the other.
type listed struct {
	batches [][]data.Sample
	next    int64
}

func (l *listed) Next(context.Context) ([]data.Sample, error) {
	l.next++
	return l.batches[l.next-1], nil
}
func (l *listed) Position() int64      { return l.next }
func (l *listed) SeekTo(n int64) error { l.next = n; return nil }

// runsOutOfMemory ends steps at every size of tensor that a GPU may lack the memory for.
func runsOutOfMemory(t *testing.T) {
	ctx := context.Background()
	limit := func(bytes float64) { t.Setenv("FAKE_CUDA_LIMIT", strconv.Itoa(int(bytes))) }
	o := Options{Rate: 1e-3, Schedule: nn.ConstantRate{}, Seed: 5, EMA: 0.9}
	fits := pictures(2)[:1]
	large := []data.Sample{picture("large", 512, 384, 2, diffusioninst.Box{X1: 40, Y1: 60, X2: 300, Y2: 340})}
	want := steps1(t, newTrainerOn(t, torch.CUDA(0), small(2), o), fits, fits)

	tr := newTrainerOn(t, torch.CUDA(0), small(2), o)
	first := steps1(t, tr, fits)
	require.Equal(t, want[0].Total, first[0].Total)
	state := func() []byte {
		path := filepath.Join(t.TempDir(), "state.safetensors")
		t.Setenv("FAKE_CUDA_LIMIT", "")
		require.NoError(t, tr.Save(ctx, path, nil))
		out, err := os.ReadFile(path)
		require.NoError(t, err)
		return out
	}
	before, live := state(), torch.Live()
	need, lacked := 256.0, 0
	for ; ; need *= 1.5 {
		limit(need)
		_, err := tr.Step(ctx, fits, fits)
		if err == nil {
			break
		}
		lacked++
		var full *OutOfMemoryError
		require.ErrorAs(t, err, &full)
		require.ErrorIs(t, err, torch.ErrOutOfMemory)
		require.Equal(t, live, torch.Live())
		require.Equal(t, before, state(), "at %v bytes", need)
	}
	require.Greater(t, lacked, 5)

	tr = newTrainerOn(t, torch.CUDA(0), small(2), o)
	steps1(t, tr, fits)
	limit(need)
	_, err := tr.Step(ctx, large)
	require.ErrorContains(t, err, "cuda:0 is out of memory in a step of 1 pictures of up to 512×384 pixels with 12 proposals each: make batches (--batch)")
	require.Equal(t, want[1].Total, steps1(t, tr, fits)[0].Total, "the trainer goes on as if nothing had happened")

	run := Run{
		Trainer: newTrainerOn(t, torch.CUDA(0), small(2), o), Batches: &listed{batches: [][]data.Sample{fits, large}},
		Folder: t.TempDir(), Steps: 2, SaveEvery: 1,
	}
	var full *OutOfMemoryError
	require.ErrorAs(t, run.Do(ctx), &full)
	run.Trainer = newTrainerOn(t, torch.CUDA(0), small(2), o)
	run.Resume, run.Batches = LastCheckpoint, &listed{batches: [][]data.Sample{fits, fits}}
	var last *Report
	run.OnStep = func(p Progress) { last = p.Report }
	require.NoError(t, run.Do(ctx))
	require.Equal(t, 1, last.Step)
	require.InEpsilon(t, want[1].Total, last.Total, 1e-6, "the checkpoint is that of the first step")
}

// steps1 makes a step with each batch.
func steps1(t *testing.T, tr *Trainer, batches ...[]data.Sample) []*Report {
	t.Helper()
	var out []*Report
	for _, b := range batches {
		r, err := tr.Step(context.Background(), b)
		require.NoError(t, err)
		out = append(out, r)
	}
	return out
}
