package backbone

import (
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/checkpoint"
	"github.com/diffusioninst/go/internal/golden"
	"github.com/diffusioninst/go/internal/modeltest"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// swinOf reads the sizes of a Swin Transformer off the shapes of a case; false if it has none.
func swinOf(g modeltest.Weights) (Swin, bool) {
	const at = "backbone.bottom_up."
	proj, ok := g[at+"patch_embed.proj.weight"]
	if !ok {
		return Swin{}, false
	}
	c := Swin{EmbedDim: int(proj.Shape[0])}
	for i := range c.Depths {
		for {
			table, ok := g[fmt.Sprintf("%slayers.%d.blocks.%d.attn.relative_position_bias_table", at, i, c.Depths[i])]
			if !ok {
				break
			}
			c.Depths[i]++
			c.Heads[i] = int(table.Shape[1])
			c.Window = (int(math.Sqrt(float64(table.Shape[0]))) + 1) / 2
		}
	}
	return c, true
}

func TestSwinFeaturesEqualTheReferences(t *testing.T) {
	golden.Each(t, golden.Model, func(t *testing.T, dir string) {
		weights := modeltest.GoldenWeights(t, dir)
		maps.DeleteFunc(weights, func(name string, _ golden.Weight) bool { return !strings.HasPrefix(name, "backbone.") })
		c, ok := swinOf(weights)
		if !ok {
			t.Skip("not a Swin Transformer")
		}
		file, err := checkpoint.Open(filepath.Join(dir, "golden.safetensors"))
		require.NoError(t, err)
		defer file.Close()
		for _, inference := range []bool{true, false} {
			modeltest.Do(t, func(s *torch.Scope) {
				store := nn.NewStore(weights, nn.StoreOptions{Inference: inference})
				defer store.Close()
				width := int(weights["backbone.fpn_output2.weight"].Shape[0])
				b, err := SwinFPN{Swin: c, Channels: width}.Build(store.Root().Sub("backbone"))
				require.NoError(t, err)
				require.NoError(t, store.Err())
				for i, level := range b.Forward(modeltest.Tensor(t, s, file, "net_input")) {
					d := distance(level, modeltest.Tensor(t, s, file, fmt.Sprintf("backbone.p%d", i+2)))
					t.Logf("inference %v, p%d: %.2g", inference, i+2, d)
					require.Less(t, d, 1e-4)
				}
			})
		}
	})
}
