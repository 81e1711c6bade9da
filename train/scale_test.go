package train

import (
	"context"
	"math"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

func TestLossScaleFollowsOverflows(t *testing.T) {
	l := &lossScale{Value: scaleStart}
	for range scalePatience - 1 {
		require.False(t, l.after(true))
		require.EqualValues(t, scaleStart, l.Value)
	}
	require.False(t, l.after(true))
	require.EqualValues(t, 2*scaleStart, l.Value)
	require.True(t, l.after(false))
	require.Equal(t, lossScale{Value: scaleStart}, *l)
	n := 0
	for ; l.after(false); n++ {
	}
	require.Equal(t, 26, n, "it gives up in the end")
}

// float16 is for GPUs; what its losses are scaled by works in any precision.
func TestScaledLosses(t *testing.T) {
	scaled := func(value float64, replicas int) *Trainer {
		tr := newTrainer(t, batchNormed(), Options{Seed: 3, Frozen: []string{}, Replicas: replicas, SyncBatchNorm: true})
		if value > 0 {
			tr.scale = &lossScale{Value: value}
		}
		return tr
	}
	plain := steps(t, scaled(0, 1), 2)
	for _, replicas := range []int{1, 2} {
		got := steps(t, scaled(1024, replicas), 2)
		for i, r := range got {
			require.InEpsilon(t, plain[i].Total, r.Total, 1e-4)
			require.InEpsilon(t, plain[i].Norm, r.Norm, 1e-3)
			require.False(t, r.Skipped)
		}
	}

	tr := scaled(math.MaxFloat32, 1)
	before := trainerNorm(tr)
	r, err := tr.Step(context.Background(), pictures(2))
	require.NoError(t, err)
	require.True(t, r.Skipped)
	require.Equal(t, 1, tr.Steps(), "the batch is used up")
	require.Equal(t, before, trainerNorm(tr), "nothing moves")
	require.Equal(t, math.MaxFloat32/2, tr.scale.Value)
	for n := 0; r.Skipped; n++ {
		require.Less(t, n, 60)
		r = steps(t, tr, 1)[0]
	}
	require.NotEqual(t, before, trainerNorm(tr))

	path := filepath.Join(t.TempDir(), "state")
	require.NoError(t, tr.Save(context.Background(), path, nil))
	resumed := scaled(1, 1)
	_, err = resumed.Resume(context.Background(), path)
	require.NoError(t, err)
	require.Equal(t, tr.scale, resumed.scale)
}

func TestFloat16IsForGPUs(t *testing.T) {
	_, err := New(context.Background(), small(2), nn.FromSeed(1), torch.CPU, Options{Precision: torch.Float16})
	require.ErrorContains(t, err, "float16 on cpu")
}
