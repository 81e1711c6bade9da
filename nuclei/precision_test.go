//go:build cgo

package nuclei

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/internal/simulate"
	"github.com/diffusioninst/go/torch"
)

// In bfloat16 the model finds what it finds in float32.
func TestBFloat16FindsTheSame(t *testing.T) {
	if lacking := torch.CPU.CheckPrecision(t.Context(), torch.BFloat16); lacking != nil {
		t.Skip(lacking)
	}
	img, _ := simulate.Nuclei(simulate.Options{Width: 256, Height: 256, Count: 60, Radius: 9, Seed: 4})
	find := func(p diffusioninst.Precision) []diffusioninst.Instance {
		m, err := Load(t.Context(), diffusioninst.LoadOptions{Precision: p})
		require.NoError(t, err)
		defer m.Close()
		require.Equal(t, p, m.Precision())
		r, err := m.Segment(t.Context(), img, diffusioninst.Options{Scales: oneSize, Score: 0.5})
		require.NoError(t, err)
		return r.Instances
	}
	want, got := find(diffusioninst.PrecisionFloat32), find(diffusioninst.PrecisionBFloat16)
	require.Greater(t, len(want), 50)
	require.NotEqual(t, want[0].Score, got[0].Score, "not computed in bfloat16")
	matched := 0
	for _, w := range want {
		for _, g := range got {
			iou, err := w.Mask.IoU(g.Mask)
			require.NoError(t, err)
			if iou >= 0.8 {
				matched++
				break
			}
		}
	}
	require.GreaterOrEqual(t, float64(matched), 0.98*float64(len(want)), "%d of %d", matched, len(want))
	require.InDelta(t, len(want), len(got), 0.02*float64(len(want))+1)
}
