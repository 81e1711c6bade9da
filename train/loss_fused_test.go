package train

import (
	"context"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/closetest"
	"github.com/diffusioninst/go/internal/modeltest"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
	"github.com/diffusioninst/go/train/data"
)

// scoreLoss is an extra term.
type scoreLoss struct{}

func (scoreLoss) Name() string { return "loss_score" }

func (scoreLoss) Loss(p StagePrediction) *torch.Tensor {
	return p.Logits.Sigmoid().Mean().MulScalar(float64(1+p.Stage) / p.Divisor)
}

// fusedLosses compares the losses of a GPU and all gradients with the CPU's, which are composed of operators, in float64.
func fusedLosses(t *testing.T) {
	weights := []float32{1, 2, 3, 1, 2}
	objects, none := pictures(5), pictures(5)[1:2]
	for _, k := range []struct {
		name      string
		objective Objective
		batch     []data.Sample
	}{
		{"focal", Objective{}, objects},
		{"last stage, other constants", Objective{LastStage: true, Alpha: 0.6, Gamma: 1.5, ClassWeight: 3, L1Weight: -1}, objects},
		{"federated", Objective{Federated: &Federated{Weights: weights, Classes: 3}}, objects},
		{"federated without focal", Objective{Federated: &Federated{Weights: weights, Classes: 3}, NoFocal: true}, objects},
		{"IoU of boxes", Objective{ScoreTarget: ScoreBoxIoU}, objects},
		{"IoU of masks, parts of pixels", Objective{ScoreTarget: ScoreMaskIoU, MaskCoverage: true}, objects},
		{"extra", Objective{Extra: []StageLoss{scoreLoss{}}}, objects},
		{"no objects", Objective{}, none},
	} {
		t.Run(k.name, func(t *testing.T) {
			o := Options{Seed: 5, Schedule: nn.ConstantRate{}, Frozen: []string{}, Float64: true, Objective: k.objective}
			want, wantLosses := gradients(t, newTrainer(t, small(5), o), k.batch)
			got, gotLosses := gradients(t, newTrainerOn(t, torch.CUDA(0), small(5), o), k.batch)
			require.Len(t, gotLosses, len(wantLosses))
			for i, l := range wantLosses {
				require.Equal(t, l.Name, gotLosses[i].Name)
				require.InDelta(t, l.Value, gotLosses[i].Value, 1e-9, l.Name)
			}
			require.ElementsMatch(t, slices.Collect(maps.Keys(want)), slices.Collect(maps.Keys(got)), "what has a gradient")
			for name, w := range want {
				closetest.Slices(t, w, got[name], 1e-8, name)
			}
		})
	}
}

// gradients returns the losses of a batch and the gradients of all parameters that have one.
func gradients(t *testing.T, tr *Trainer, batch []data.Sample) (grads map[string][]float64, losses []Loss) {
	ctx := context.Background()
	whole, err := tr.wholeBatches(ctx, [][]data.Sample{batch}, nil)
	require.NoError(t, err)
	grads = map[string][]float64{}
	modeltest.Do(t, func(s *torch.Scope) {
		defer tr.clearGrads()
		losses, err = tr.accumulate(ctx, s, batch, whole[0], 0.5)
		require.NoError(t, err)
		for _, p := range tr.store.Parameters() {
			if g := p.Tensor.Grad(s); g != nil {
				grads[p.Name] = torch.Values[float64](g)
			}
		}
	})
	return grads, losses
}
