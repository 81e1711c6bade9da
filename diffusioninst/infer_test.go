package diffusioninst

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/backbone"
	"github.com/diffusioninst/go/internal/checkpoint"
	"github.com/diffusioninst/go/internal/golden"
	"github.com/diffusioninst/go/maskhead"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// seen is a source that notes the shapes of what it is asked for.
type seen struct{ shapes shapes }

func (r seen) Parameter(s *torch.Scope, name string, shape []int, _ nn.Init) (*torch.Tensor, error) {
	r.shapes[name] = shape
	return s.Zeros(torch.F32(torch.CPU), shape...), nil
}

func (seen) Names() []string { return nil }

func TestInferBackboneReadsSwinOffItsShapes(t *testing.T) {
	for _, size := range []string{"XXS", "T", "B", "B-22k-384"} {
		want, err := backbone.SwinOfSize(size)
		require.NoError(t, err)
		source := seen{shapes{}}
		require.NoError(t, torch.Do(t.Context(), func(*torch.Scope) error {
			store := nn.NewStore(source, nn.StoreOptions{Inference: true})
			defer store.Close()
			_, err := backbone.SwinFPN{Swin: want, Channels: 64}.Build(store.Root().Sub("backbone"))
			return err
		}))
		got, err := inferBackbone(source.shapes)
		require.NoError(t, err)
		want.Size, want.DropRate, want.MLPRatio = "", 0, 4
		require.Equal(t, backbone.SwinFPN{Swin: want, Channels: 64}, got)
	}
}

func TestInferBackboneOfTheGoldenCases(t *testing.T) {
	golden.Each(t, golden.Model, func(t *testing.T, dir string) {
		s := shapes{}
		for _, w := range golden.Weights(t, dir) {
			s[w.Name] = checkpoint.Ints(w.Shape)
		}
		b, err := inferBackbone(s)
		require.NoError(t, err)
		if s["backbone.bottom_up.norm0.weight"] != nil {
			require.IsType(t, backbone.SwinFPN{}, b)
		} else {
			require.IsType(t, backbone.ResNetFPN{}, b)
		}
	})
}

func TestBookkeepingOfSwinIsNoParameter(t *testing.T) {
	const at = "backbone.bottom_up.layers.0.blocks.1.attn"
	require.True(t, checkpoint.Bookkeeping(at+".relative_position_index"))
	require.True(t, checkpoint.Bookkeeping("backbone.bottom_up.layers.0.blocks.1.attn_mask"))
	require.False(t, checkpoint.Bookkeeping(at+".relative_position_bias_table"))
}

// What no parameter's shape tells comes from the metadata.
func TestMetadataCompletesTheConfiguration(t *testing.T) {
	inferred := Config{Classes: []string{"class 1"}, MaskBranch: maskhead.BranchConfig{Width: 32, Levels: 2, Convs: 1}}
	written := inferred
	written.Classes, written.MaskBranch = []string{"nucleus"}, maskhead.BranchConfig{Width: 1 << 20, Upsample: 2}
	text, err := json.Marshal(written)
	require.NoError(t, err)
	c, err := inferred.withMetadata(string(text))
	require.NoError(t, err)
	require.Equal(t, []string{"nucleus"}, c.Classes)
	require.Equal(t, maskhead.BranchConfig{Width: 32, Levels: 2, Convs: 1, Upsample: 2}, c.MaskBranch)
}
