package diffusioninst

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/sampler"
	"github.com/diffusioninst/go/torch"
)

// wide remembers the width of the state that it steps.
type wide struct{ width *int }

func (wide) String() string { return "wide" }

func (w wide) Step(s *sampler.Step) (*torch.Tensor, error) {
	*w.width = s.X.Size(2)
	return sampler.DDIM{Eta: 1}.Step(s)
}

// listening draws parameters from a seed and lets the decoder listen to noisy
// filters, which it does not when it starts.
type listening struct{ nn.Source }

func (l listening) Parameter(s *torch.Scope, name string, shape []int, init nn.Init) (*torch.Tensor, error) {
	if name == "head.filter_state.weight" {
		init = nn.XavierUniform
	}
	return l.Source.Parameter(s, name, shape, init)
}

func TestFiltersAreDiffusedWithTheBoxes(t *testing.T) {
	ctx, img := context.Background(), pattern(64, 64)
	var width int
	o := Options{Score: -1, Steps: 3, Seed: 4, Sampling: &sampler.Config{Sampler: wide{&width}, Renewal: sampler.NoRenewal{}}}
	results := map[string]*Result{}
	for name, source := range map[string]nn.Source{"deaf": nn.FromSeed(1), "listening": listening{nn.FromSeed(1)}} {
		c := small()
		c.FilterRange = 5
		m, err := NewFrom(ctx, c, source, torch.CPU)
		require.NoError(t, err)
		results[name], err = m.Segment(ctx, img, o)
		require.NoError(t, err)
		again, err := m.Segment(ctx, img, o)
		require.NoError(t, err)
		require.True(t, sameResult(results[name], again))
		require.Equal(t, 4+153, width)
		require.NoError(t, m.Close())
	}
	require.NotEmpty(t, results["deaf"].Instances)
	require.False(t, sameResult(results["deaf"], results["listening"]), "noisy filters must matter")

	m := smallModel(t)
	_, err := m.Segment(ctx, img, o)
	require.NoError(t, err)
	require.Equal(t, 4, width, "boxes alone by default")

	c := small()
	c.FilterRange = -1
	none, err := New(ctx, c, 1, torch.CPU)
	require.NoError(t, err)
	defer none.Close()
	_, err = none.Segment(ctx, img, o)
	require.NoError(t, err)
	require.Equal(t, 4, width, "negative for none")
}
