package train

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/checkpoint"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// What is drawn for a sample does not depend on what was drawn before.
func TestDrawsDependOnTheSample(t *testing.T) {
	tr := &Trainer{options: Options{Draws: newNumbered(5)}}
	draw := func(use uint64, n int64) []float32 {
		tr.drawFor(use, n)
		return tr.options.Draws.Noise(4)
	}
	first := draw(drawSample, 7)
	require.NotEqual(t, first, draw(drawSample, 8))
	require.NotEqual(t, first, draw(drawClasses, 7))
	require.Equal(t, first, draw(drawSample, 7))
	tr.options.Draws = newNumbered(6)
	require.NotEqual(t, first, draw(drawSample, 7))
	seven := draw(drawSample, 7)

	state, err := tr.drawsState()
	require.NoError(t, err)
	tr.options.Draws = newNumbered(0)
	require.NoError(t, tr.restoreDraws(state))
	require.Equal(t, seven, draw(drawSample, 7), "the seed is the checkpoint's")
	require.Error(t, tr.restoreDraws([]byte("numbered:short")))
}

// A run whose checkpoint is of version 1, with the state of a generator, goes on as it began.
func TestOldCheckpointResumes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	old := newTrainer(t, small(2), Options{Draws: NewRandom(3)})
	steps(t, old, 1)
	require.NoError(t, old.Save(context.Background(), path, nil))
	steps(t, old, 2)

	resumed, err := New(context.Background(), small(2), nn.FromSeed(9), torch.CPU, Options{Seed: 8})
	require.NoError(t, err)
	defer resumed.Close()
	_, err = resumed.Resume(context.Background(), path)
	require.NoError(t, err)
	steps(t, resumed, 1)
	again := filepath.Join(t.TempDir(), "state")
	require.NoError(t, resumed.Save(context.Background(), again, nil))
	file, err := checkpoint.Open(again)
	require.NoError(t, err)
	defer file.Close()
	m, _, err := readMemory(file)
	require.NoError(t, err)
	require.Equal(t, 1, m.Version)
	steps(t, resumed, 1)
	for i, p := range old.store.Parameters() {
		require.Equal(t, torch.Values[float32](p.Tensor), torch.Values[float32](resumed.store.Parameters()[i].Tensor), p.Name)
	}
}
