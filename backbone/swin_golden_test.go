package backbone

import (
	"fmt"
	"math"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/checkpoint"
	"github.com/diffusioninst/go/internal/golden"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// goldenSource computes parameters as a case's weights.json says.
type goldenSource map[string]golden.Weight

func (g goldenSource) Parameter(s *torch.Scope, name string, shape []int64, _ nn.Init) (*torch.Tensor, error) {
	w, ok := g[name]
	if !ok {
		return nil, nil
	}
	if fmt.Sprint(w.Shape) != fmt.Sprint(shape) {
		return nil, &nn.ShapeError{Have: w.Shape}
	}
	return torch.From(s, w.Values(), shape...), nil
}

func (g goldenSource) Names() []string {
	var out []string
	for name := range g {
		out = append(out, name)
	}
	return out
}

// swinOf reads the sizes of a Swin Transformer off the shapes of a case; false if it has none.
func (g goldenSource) swinOf() (Swin, bool) {
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
		weights := goldenSource{}
		for _, w := range golden.Weights(t, dir) {
			if len(w.Name) > 9 && w.Name[:9] == "backbone." {
				weights[w.Name] = w
			}
		}
		c, ok := weights.swinOf()
		if !ok {
			t.Skip("not a Swin Transformer")
		}
		file, err := checkpoint.Open(filepath.Join(dir, "golden.safetensors"))
		require.NoError(t, err)
		defer file.Close()
		for _, inference := range []bool{true, false} {
			inDo(t, func(s *torch.Scope) {
				store := nn.NewStore(weights, nn.StoreOptions{Inference: inference})
				defer store.Close()
				width := int(weights["backbone.fpn_output2.weight"].Shape[0])
				b, err := SwinFPN{Swin: c, Channels: width}.Build(store.Root().Sub("backbone"))
				require.NoError(t, err)
				require.NoError(t, store.Err())
				for i, level := range b.Forward(fromFile(t, s, file, "net_input")) {
					d := distance(level, fromFile(t, s, file, fmt.Sprintf("backbone.p%d", i+2)))
					t.Logf("inference %v, p%d: %.2g", inference, i+2, d)
					require.Less(t, d, 1e-4)
				}
			})
		}
	})
}

// fromFile is a float32 tensor of a file.
func fromFile(t *testing.T, s *torch.Scope, file *checkpoint.File, name string) *torch.Tensor {
	t.Helper()
	tensor, ok := file.Tensor(name)
	require.True(t, ok, "the case has no %s", name)
	require.Equal(t, checkpoint.Float32, tensor.DType)
	data := make([]byte, tensor.Elements()*int64(tensor.DType.Size()))
	require.NoError(t, tensor.ReadInto(data))
	return s.FromBytes(data, torch.Float32, torch.CPU, tensor.Shape...)
}
