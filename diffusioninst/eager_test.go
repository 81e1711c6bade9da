package diffusioninst

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/golden"
	"github.com/diffusioninst/go/internal/modeltest"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// Where LibTorch rounds as it did for the reference, an eager network computes the
// reference's numbers to the last bit. That is asserted for the project's own cases; others,
// whose shapes may take other kernels, must be within the tolerances.
func TestEagerNetworkIsTheReference(t *testing.T) {
	golden.Each(t, golden.Model, func(t *testing.T, dir string) {
		g := openGolden(t, dir)
		for _, inference := range []bool{true, false} {
			modeltest.Do(t, func(s *torch.Scope) { g.eager(s, inference) })
		}
		own, _ := os.Stat(golden.Dir(filepath.Base(dir)))
		exact := own != nil && modeltest.RoundsAsGolden(t)
		for kind, d := range g.worst {
			switch {
			case exact:
				require.Zero(t, d, kind)
			case kind == "features":
				require.Less(t, d, featureTolerance, kind)
			default:
				require.Less(t, d, stageTolerance, kind)
			}
		}
		t.Logf("‖d‖/‖ref‖: %v", g.worst)
	})
}

// eager compares features, mask features and the first step.
func (g *goldenCase) eager(s *torch.Scope, inference bool) {
	config, err := g.config().WithDefaults()
	require.NoError(g.t, err)
	store := nn.NewStore(modeltest.GoldenWeights(g.t, g.dir), nn.StoreOptions{Inference: inference, Eager: true})
	defer store.Close()
	net, err := NewNetwork(store.Root(), config)
	require.NoError(g.t, err)
	require.NoError(g.t, store.Err())
	watch := g.watch()
	torch.NoGrad(func() {
		levels := net.Backbone.Forward(g.read(s, "net_input"))
		watch.levels(levels)
		watch.masks(net.Branch.Forward(levels))
		boxes := g.read(s, "step0.boxes_in_xyxy_abs")
		times := torch.Values[float64](g.read(s, "step0.t").Flatten(0, -1).ToDType(torch.Float64))
		stages, err := net.Decoder.Forward(levels, boxes, times, true)
		require.NoError(g.t, err)
		watch.decoded(0, int(times[0]), boxes, stages)
	})
}
