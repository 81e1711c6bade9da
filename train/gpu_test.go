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

// gpu skips tests on machines without one.
func gpu(t *testing.T) torch.Device {
	t.Helper()
	if torch.CUDADevices() == 0 {
		t.Skip("no GPU here")
	}
	return torch.CUDA(0)
}

func TestGPULearnsAsTheCPUDoes(t *testing.T) { learnsAsTheCPU(t, gpu(t)) }

// learnsAsTheCPU compares three steps in float64, and one in float32, in which a match soon falls to another proposal,
// and the losses are others.
func learnsAsTheCPU(t *testing.T, device torch.Device) {
	for name, c := range map[string]diffusioninst.Config{"frozen norms": small(2), "batch norm": batchNormed()} {
		for _, k := range []struct {
			precision string
			steps     int
			tolerance float64
		}{{"float32", 1, 1e-3}, {"float64", 3, 1e-6}} {
			t.Run(name+" in "+k.precision, func(t *testing.T) {
				o := Options{Rate: 2e-3, Schedule: nn.ConstantRate{}, Seed: 5, EMA: 0.9, Frozen: []string{}, Float64: k.precision == "float64"}
				if o.Float64 {
					o.OwnSteps = 0.5
				}
				want := steps(t, newTrainer(t, c, o), k.steps)
				got := steps(t, newTrainerOn(t, device, c, o), k.steps)
				for i := range want {
					for l, loss := range want[i].Losses {
						require.Equal(t, loss.Name, got[i].Losses[l].Name)
						require.InEpsilon(t, loss.Value, got[i].Losses[l].Value, k.tolerance, "step %d: %s", i, loss.Name)
					}
					require.InEpsilon(t, want[i].Norm, got[i].Norm, 10*k.tolerance, "step %d", i)
				}
			})
		}
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
