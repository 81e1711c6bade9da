package train

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

func relative(c diffusioninst.Config) diffusioninst.Config {
	c.MaskHead.Coordinates = true
	return c
}

// Relative coordinates on top of a model that was trained without them: it finds the same at first, and then learns them,
// by the losses' kernels and by LibTorch's operators alike.
func TestRelativeCoordinatesAreLearnt(t *testing.T) {
	ctx, path := context.Background(), filepath.Join(t.TempDir(), "plain.safetensors")
	c := small(2)
	c.Input = diffusioninst.Input{Scale: 1}
	plain := newTrainer(t, c, Options{Rate: 1e-2, Schedule: nn.ConstantRate{}})
	steps(t, plain, 1)
	require.NoError(t, plain.Export(ctx, path, ExportOptions{}))
	snapshot, err := plain.Snapshot(ctx)
	require.NoError(t, err)
	defer snapshot.Close()

	var learnt [2][]float64
	for i, eager := range []bool{false, true} {
		start, err := OpenPretrained(ctx, path, relative(c), 1)
		require.NoError(t, err)
		for _, name := range start.Drawn {
			require.Contains(t, name, ".coordinates.")
		}
		tr, err := New(ctx, relative(c), start, torch.CPU, Options{Rate: 1e-3, Schedule: nn.ConstantRate{}, Float64: true, Eager: eager})
		require.NoError(t, err)
		t.Cleanup(tr.Close)
		require.NoError(t, start.Close())
		first, err := tr.Snapshot(ctx)
		require.NoError(t, err)
		require.Equal(t, segment(t, snapshot), segment(t, first), "no coordinates yet")
		require.NoError(t, first.Close())
		steps(t, tr, 2)
		for _, p := range tr.store.Parameters() {
			if strings.Contains(p.Name, ".coordinates.") {
				learnt[i] = append(learnt[i], torch.Values[float64](p.Tensor)...)
			}
		}
		require.Positive(t, length(learnt[i]))
	}
	require.Len(t, learnt[0], 2*(16*16+16), "two stages")
	require.InDeltaSlice(t, learnt[0], learnt[1], 1e-8)
}
