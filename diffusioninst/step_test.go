package diffusioninst

import (
	"context"
	"image"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/simulate"
	"github.com/diffusioninst/go/torch"
)

func TestOnStep(t *testing.T) {
	m := smallModel(t)
	ctx, img := context.Background(), pattern(100, 80)
	var steps []*StepResult
	o := Options{Score: -1, Steps: 3, Seed: 5}
	plain, err := m.Segment(ctx, img, o)
	require.NoError(t, err)
	o.OnStep = func(s *StepResult) { steps = append(steps, s) }
	result, err := m.Segment(ctx, img, o)
	require.NoError(t, err)
	require.True(t, sameResult(plain, result), "watching changes nothing")
	require.Len(t, steps, 3)
	for i, s := range steps {
		require.Equal(t, [3]int{0, i, 3}, [3]int{s.Picture, s.Step, s.Steps})
		require.Equal(t, []int{999, 665, 332}[i], s.Time)
		require.Len(t, s.Boxes, 30)
		require.Len(t, s.Scores, 30)
		require.NotEmpty(t, s.Result.Instances)
	}
	// With the last step alone in the ensemble, the last step is the result.
	o.Ensemble = &Ensemble{LastOnly: true}
	want, err := m.Segment(ctx, img, o)
	require.NoError(t, err)
	require.True(t, sameResult(want, steps[2].Result))
}

// Pictures in tiles and in several views report steps of the whole picture, and the last
// step alone is the result.
func TestStepsOfSeveralPasses(t *testing.T) {
	c := small()
	c.Input = Input{Scale: 1, Tile: 64}
	m, err := New(context.Background(), c, 3, torch.CPU)
	require.NoError(t, err)
	defer m.Close()
	large, _ := simulate.Shapes(simulate.Options{Width: 150, Height: 70, Count: 6, Seed: 2})
	images := []image.Image{large, pattern(60, 50)}
	for name, test := range map[string]struct {
		augment Augment
		views   [2]int
	}{"tiles": {Augment{}, [2]int{6, 1}}, "tiles of mirrored views": {Augment{Flip: true}, [2]int{12, 2}}} {
		var steps [2][]*StepResult
		o := Options{Score: -1, Steps: 2, Augment: test.augment, Ensemble: &Ensemble{LastOnly: true}}
		o.OnStep = func(s *StepResult) { steps[s.Picture] = append(steps[s.Picture], s) }
		results, err := m.SegmentBatch(context.Background(), images, o)
		require.NoError(t, err, name)
		for i, r := range results {
			require.Len(t, steps[i], 2, name)
			for k, s := range steps[i] {
				require.Equal(t, k, s.Step)
				require.Len(t, s.Boxes, test.views[i]*30)
				require.Len(t, s.Scores, len(s.Boxes))
			}
			require.True(t, sameResult(r, steps[i][1].Result), name)
		}
	}
}

func TestOnStepMayCancel(t *testing.T) {
	m := smallModel(t)
	ctx, cancel := context.WithCancel(context.Background())
	n := 0
	_, err := m.Segment(ctx, pattern(64, 64), Options{Score: -1, Steps: 500, OnStep: func(*StepResult) {
		if n++; n == 2 {
			cancel()
		}
	}})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 2, n)
	require.PanicsWithValue(t, "mine", func() {
		_, _ = m.Segment(context.Background(), pattern(64, 64), Options{OnStep: func(*StepResult) { panic("mine") }})
	}, "a panic goes on in the caller")
}
