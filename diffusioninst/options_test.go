package diffusioninst

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/torch"
)

func TestWhatRefusedOptionsSay(t *testing.T) {
	m, err := New(t.Context(), small(), 1, torch.CPU)
	require.NoError(t, err)
	defer m.Close()
	for want, o := range map[string]Options{
		"diffusioninst: option Ensemble: detections vote from an overlap of 2: it is at most 1":      {Ensemble: &Ensemble{Vote: 2}},
		"diffusioninst: option Ensemble: Vote and Consensus: detections vote in one of the two ways": {Ensemble: &Ensemble{Vote: 0.5, Consensus: 0.5}},
	} {
		require.EqualError(t, m.Check(o), want)
	}
	_, err = m.Segment(t.Context(), pattern(32, 32), Options{MaxBytes: 1})
	require.ErrorContains(t, err, " MB of memory (")
	require.ErrorContains(t, err, " and 0.0041 megapixels at once), the limit is 1 bytes: ")
}
