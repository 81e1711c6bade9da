package decoder

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/closetest"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// withDecoder runs f with a small decoder over a pyramid of random features.
func withDecoder(t *testing.T, images int, f func(s *torch.Scope, d *Decoder, levels []*torch.Tensor)) {
	t.Helper()
	before := torch.Live()
	require.NoError(t, torch.Do(context.Background(), func(s *torch.Scope) error {
		st := nn.NewStore(nn.FromSeed(1), nn.StoreOptions{Inference: true})
		defer st.Close()
		d, err := New(st.Root(), []int{4, 8, 16}, Config{Classes: 3, Hidden: 16, Heads: 4, Dynamic: 8, FeedForward: 32, Stages: 3})
		require.NoError(t, err)
		g := torch.NewGenerator(2)
		var levels []*torch.Tensor
		for _, size := range []int{32, 16, 8} {
			levels = append(levels, s.Randn(g, torch.Float32, images, 16, size, size))
		}
		f(s, d, levels)
		return nil
	}))
	require.Equal(t, before, torch.Live(), "tensors left behind")
}

func someBoxes(s *torch.Scope, images, n int) *torch.Tensor {
	g := torch.NewGenerator(3)
	corner := s.Rand(g, torch.Float32, images, n, 2).MulScalar(80)
	return torch.Cat([]*torch.Tensor{corner, corner.Add(s.Rand(g, torch.Float32, images, n, 2).MulScalar(60))}, 2)
}

func TestForwardShapes(t *testing.T) {
	withDecoder(t, 2, func(s *torch.Scope, d *Decoder, levels []*torch.Tensor) {
		for _, all := range []bool{true, false} {
			out, err := d.Forward(levels, someBoxes(s, 2, 7), []float64{999, 10}, all)
			require.NoError(t, err)
			require.Len(t, out, 3)
			for i, o := range out {
				require.Equal(t, []int{2, 7, 4}, o.Boxes.Shape())
				if all || i == 2 {
					require.Equal(t, []int{2, 7, 3}, o.Logits.Shape())
					require.Equal(t, []int{2, 7, 153}, o.Filters.Shape())
				} else {
					require.Nil(t, o.Logits)
					require.Nil(t, o.Filters)
				}
			}
		}
	})
}

// Proposals are a set: their order must not matter, nor another picture of the batch.
func TestForwardIsEquivariant(t *testing.T) {
	withDecoder(t, 2, func(s *torch.Scope, d *Decoder, levels []*torch.Tensor) {
		boxes := someBoxes(s, 2, 6)
		run := func(levels []*torch.Tensor, boxes *torch.Tensor, times ...float64) *torch.Tensor {
			out, err := d.Forward(levels, boxes, times, false)
			require.NoError(t, err)
			return out[2].Logits
		}
		want := run(levels, boxes, 100, 700)
		turned := run(levels, boxes.Flip(1), 100, 700).Flip(1)
		require.Less(t, want.Sub(turned).Abs().Amax([]int{0, 1, 2}, false).Item(), 1e-4)

		var second []*torch.Tensor
		for _, l := range levels {
			second = append(second, l.Narrow(0, 1, 1))
		}
		alone := run(second, boxes.Narrow(0, 1, 1), 700)
		require.Less(t, want.Narrow(0, 1, 1).Sub(alone).Abs().Amax([]int{0, 1, 2}, false).Item(), 1e-4)
	})
}

func TestForwardNamesTheStageThatIsNotFinite(t *testing.T) {
	withDecoder(t, 1, func(s *torch.Scope, d *Decoder, levels []*torch.Tensor) {
		d.Stages[1].delta.Bias.FillInPlace(math.NaN())
		_, err := d.Forward(levels, someBoxes(s, 1, 4), []float64{1}, false)
		var e *nn.NotFiniteError
		require.ErrorAs(t, err, &e)
		require.Equal(t, 1, e.Stage)
	})
}

func TestApplyDeltas(t *testing.T) {
	require.NoError(t, torch.Do(context.Background(), func(s *torch.Scope) error {
		boxes := torch.From(s, []float32{10, 20, 30, 60}, 1, 1, 4)
		for _, c := range []struct{ delta, want []float32 }{
			{[]float32{0, 0, 0, 0}, []float32{10, 20, 30, 60}},
			{[]float32{1, -1, 0, 0}, []float32{20, 0, 40, 40}},
			{[]float32{0, 0, float32(math.Log(2)), float32(math.Log(0.5))}, []float32{0, 30, 40, 50}},
			{[]float32{0, 0, 50, 0}, []float32{20 - 10*6250, 20, 20 + 10*6250, 60}},
		} {
			got := torch.Values[float32](applyDeltas(boxes, torch.From(s, c.delta, 1, 1, 4)))
			closetest.Slices(t, c.want, got, 0.02, "deltas %v", c.delta)
		}
		return nil
	}))
}

func TestConfigRefusesWhatCannotBe(t *testing.T) {
	for _, c := range []Config{
		{}, {Classes: -1}, {Classes: 1, Heads: 7}, {Classes: 1, Stages: -1}, {Classes: 1, Prior: 1}, {Classes: 1, Hidden: 3, Heads: 1},
	} {
		_, err := c.WithDefaults()
		require.Error(t, err, "%+v", c)
	}
	c, err := Config{Classes: 80}.WithDefaults()
	require.NoError(t, err)
	require.Equal(t, Config{80, 153, 256, 64, 2048, 8, 6, 1, 3, 7, 2, 0.01, false, 0, false}, c)
}
