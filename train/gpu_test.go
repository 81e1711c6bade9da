package train

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// gpu skips tests where there is none.
func gpu(t *testing.T) torch.Device {
	t.Helper()
	if torch.CUDADevices() == 0 {
		t.Skip("no GPU here")
	}
	return torch.CUDA(0)
}

func TestGPULearnsAsTheCPUDoes(t *testing.T) {
	device := gpu(t)
	for name, c := range map[string]diffusioninst.Config{"frozen norms": small(2), "batch norm": batchNormed()} {
		t.Run(name, func(t *testing.T) {
			o := Options{Rate: 2e-3, Schedule: nn.ConstantRate{}, Seed: 5, EMA: 0.9, Frozen: []string{}}
			want := steps(t, newTrainer(t, c, o), 3)
			got := steps(t, newTrainerOn(t, device, c, o), 3)
			for i, tolerance := range []float64{1e-3, 1e-2, 5e-2} { // they drift apart
				for k, l := range want[i].Losses {
					require.Equal(t, l.Name, got[i].Losses[k].Name)
					require.InEpsilon(t, l.Value, got[i].Losses[k].Value, tolerance, "step %d: %s", i, l.Name)
				}
			}
			require.InEpsilon(t, want[0].Norm, got[0].Norm, 1e-2)
		})
	}
}

// A state that was saved on a GPU goes on there and on the CPU.
func TestGPUStatesMove(t *testing.T) {
	device := gpu(t)
	o := Options{Rate: 1e-3, Schedule: nn.ConstantRate{}, Seed: 5, EMA: 0.9, Frozen: []string{}, Precision: torch.Float32}
	path := filepath.Join(t.TempDir(), "state.safetensors")
	whole := newTrainerOn(t, device, batchNormed(), o)
	steps(t, whole, 2)
	require.NoError(t, whole.Save(context.Background(), path, nil))
	want := steps(t, whole, 1)[0]
	for _, to := range []torch.Device{device, torch.CPU} {
		o.Seed++
		resumed := newTrainerOn(t, to, batchNormed(), o)
		_, err := resumed.Resume(context.Background(), path)
		require.NoError(t, err)
		got := steps(t, resumed, 1)[0]
		require.Equal(t, want.Step, got.Step)
		require.InEpsilon(t, want.Total, got.Total, 1e-3, "%v", to)
	}
}
