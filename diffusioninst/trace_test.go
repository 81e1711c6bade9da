package diffusioninst

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSegmentTrace(t *testing.T) {
	m := smallModel(t)
	ctx, img := context.Background(), pattern(100, 80)
	o := Options{Score: -1, Steps: 3, Seed: 5}
	var steps []*Trace
	for step, err := range m.SegmentTrace(ctx, img, o) {
		require.NoError(t, err)
		require.Equal(t, len(steps), step.Step)
		require.Equal(t, 3, step.Steps)
		require.Len(t, step.Boxes, 30)
		require.Len(t, step.Scores, 30)
		require.NotEmpty(t, step.Found.Instances)
		// The model is free for other calls inside the loop.
		_, err := m.Segment(ctx, img, all)
		require.NoError(t, err)
		steps = append(steps, step)
	}
	require.Equal(t, []int{999, 665, 332}, []int{steps[0].Time, steps[1].Time, steps[2].Time})

	// With the last step alone in the ensemble, the last step is the result.
	m.config.Ensemble = Ensemble{LastOnly: true}
	want, err := m.Segment(ctx, img, o)
	require.NoError(t, err)
	require.True(t, sameResult(want, steps[2].Found))
}

func TestSegmentTraceEnds(t *testing.T) {
	m := smallModel(t)
	ctx := context.Background()
	n := 0
	for range m.SegmentTrace(ctx, pattern(64, 64), Options{Score: -1, Steps: 500}) {
		if n++; n == 2 {
			break
		}
	}
	require.Equal(t, 2, n)
	for step, err := range m.SegmentTrace(ctx, pattern(64, 64), Options{Steps: -1}) {
		require.Nil(t, step)
		var e *OptionError
		require.ErrorAs(t, err, &e)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	for step, err := range m.SegmentTrace(cancelled, pattern(64, 64), all) {
		require.Nil(t, step)
		require.ErrorIs(t, err, context.Canceled)
	}
}
