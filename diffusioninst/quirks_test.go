package diffusioninst

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/torch"
)

// What the reference does not have is refused, not ignored.
func TestReferenceAgainstOptions(t *testing.T) {
	c := small()
	c.Quirks = Reference
	ctx, img := context.Background(), pattern(64, 64)
	m, err := New(ctx, c, 1, torch.CPU)
	require.NoError(t, err)
	defer m.Close()
	for option, o := range map[string]Options{
		"Score": {Score: 0.3}, "Limit": {Limit: 5}, "Ensemble": {Ensemble: &Ensemble{LastOnly: true}},
		"Restarts": {Restarts: 2},
	} {
		_, err := m.Segment(ctx, img, o)
		var e *OptionError
		require.ErrorAs(t, err, &e)
		require.Equal(t, option, e.Option)
		require.ErrorContains(t, err, "reference")
	}
	r, err := m.Segment(ctx, img, Options{Score: -1, Limit: -1})
	require.NoError(t, err)
	require.NotEmpty(t, r.Instances, "no least score")
}

func TestRules(t *testing.T) {
	require.Equal(t, [4]bool{false, true, false, false}, flags(NoQuirks.rules()))
	require.Equal(t, [4]bool{true, false, true, true}, flags(Reference.rules()))
	b := Box{X1: 1.6, Y1: 1.2, X2: 4.7, Y2: 4.4}
	require.NotEqual(t, NoQuirks.rules().pixels(b, 9, 9), Reference.rules().pixels(b, 9, 9))
}

func flags(r rules) [4]bool {
	return [4]bool{r.float64State, r.lastCounts, r.noThreshold, r.shiftClasses}
}
