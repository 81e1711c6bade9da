package train

import (
	"context"
	"image"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/internal/closetest"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/sampler"
	"github.com/diffusioninst/go/torch"
)

func TestFilterStatesByHand(t *testing.T) {
	d := diffusion{schedule: sampler.Schedule{0.64}, scale: 2, proposals: 2, filters: 3, limit: 5}
	closetest.Slices(t, []float64{0.6, -1.2, 2.4}, d.noisyFilters([]float32{1, -2, 4}, nil, 0), 1e-12)
	closetest.Slices(t, []float64{1.4, 0.4, 0.8}, d.noisyFilters([]float32{1, -2, 4}, []float64{1, 2, -2}, 0), 1e-6)
	require.Equal(t, []float32{2.5, -5, 5}, d.plain([]float64{1, -2, 3}))
	require.Equal(t, []float64{1, -2, 2}, d.filterSignal([]float32{2.5, -5, 8}))
	boxes, filters := []float64{1, 2, 3, 4, 5, 6, 7, 8}, []float64{11, 12, 13, 14, 15, 16}
	x := d.join(boxes, filters)
	require.Equal(t, []float64{1, 2, 3, 4, 11, 12, 13, 5, 6, 7, 8, 14, 15, 16}, x)
	b, f := d.split(x)
	require.Equal(t, boxes, b)
	require.Equal(t, filters, f)
}

// The clean value of the filters is what the model predicts; at time 0 little else is left.
// A new model does not listen to them yet, so that it predicts the same twice.
func TestFiltersStartFromTheModelsOwn(t *testing.T) {
	c := small(2)
	c.FilterRange = 5
	tr := newTrainer(t, c, Options{Draws: fixed{noise: 0.5}, Rate: 1e-2, Schedule: nn.ConstantRate{}})
	require.NoError(t, torch.Do(context.Background(), func(s *torch.Scope) error {
		p := &pass{replica: tr.replicas[0], noised: tr.noise(pictures(2), wholeBatch{Height: 64, Width: 64}), scope: s}
		require.NoError(t, tr.predict(context.Background(), p))
		schedule := tr.diffusion().schedule
		noise := 0.5 * float32(schedule.Sigma(0)) * 5 / 2
		for i, v := range torch.Values[float32](p.stages[len(p.stages)-1].Filters.Detach()) {
			require.InDelta(t, min(max(v, -5), 5)*float32(schedule.Alpha(0))+noise, p.noised.filters[i], 1e-3)
		}
		return nil
	}))
	for range 3 {
		_, err := tr.Step(context.Background(), pictures(2))
		require.NoError(t, err)
	}
	for _, p := range tr.store.Parameters() {
		if strings.HasPrefix(p.Name, "head.filter_state") {
			require.Positive(t, length(torch.Values[float64](p.Tensor)), "%s learns", p.Name)
		}
	}
	m, err := tr.Snapshot(context.Background())
	require.NoError(t, err)
	defer m.Close()
	_, err = m.Segment(context.Background(), image.NewGray(image.Rect(0, 0, 64, 64)), diffusioninst.Options{Steps: 2})
	require.NoError(t, err)
}
