package decoder

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// listening draws parameters from a seed and lets the decoder listen to its last estimate, which it does not when it starts.
type listening struct{ nn.Source }

func (l listening) Parameter(s *torch.Scope, name string, shape []int, init nn.Init) (*torch.Tensor, error) {
	if name == "self_conditioning.weight" {
		init = nn.XavierUniform
	}
	return l.Source.Parameter(s, name, shape, init)
}

// withTold runs f with a small decoder in float64 that is told its last estimate.
func withTold(t *testing.T, source nn.Source, f func(s *torch.Scope, d *Decoder, levels []*torch.Tensor)) {
	t.Helper()
	require.NoError(t, torch.Do(context.Background(), func(s *torch.Scope) error {
		st := nn.NewStore(source, nn.StoreOptions{DType: torch.Float64})
		defer st.Close()
		d, err := New(st.Root(), []int{4, 8}, Config{Classes: 2, Hidden: 8, Heads: 2, Dynamic: 4, FeedForward: 8, Stages: 2, SelfConditioning: true})
		require.NoError(t, err)
		require.NoError(t, st.Err())
		g := torch.NewGenerator(2)
		f(s, d, []*torch.Tensor{s.Randn(g, torch.Float64, 2, 8, 16, 16), s.Randn(g, torch.Float64, 2, 8, 8, 8)})
		return nil
	}))
}

func TestConditioningByHand(t *testing.T) {
	require.NoError(t, torch.Do(context.Background(), func(s *torch.Scope) error {
		boxes := torch.From(s, []float64{1, 2, -1, 0.5, 0.1, 0.2, 0.3, 0.4}, 1, 2, 4)
		last := torch.From(s, []float64{5, 6, 7, 8, -5, -6, -7, -8}, 1, 2, 4)
		first, second := []float64{1, 2, -1, 0.5, 5, 6, 7, 8, 1}, []float64{0.1, 0.2, 0.3, 0.4, -5, -6, -7, -8, 1}
		require.Equal(t, append(first, second...), torch.Values[float64](Conditioning(boxes, last, nil)))
		known := torch.From(s, []uint8{0, 1}, 1, 2).EqScalar(1)
		require.Equal(t, append(make([]float64, 9), second...), torch.Values[float64](Conditioning(boxes, last, known)))
		return nil
	}))
}

// What is told is mapped linearly into the first proposal features, and the gradient of its weights is that of differences.
func TestConditioningIsAddedToTheFirstFeatures(t *testing.T) {
	withTold(t, listening{nn.FromSeed(3)}, func(s *torch.Scope, d *Decoder, levels []*torch.Tensor) {
		const n = 5
		boxes := someBoxes(s, 2, n).MulScalar(0.4).ToDType(torch.Float64)
		g := torch.NewGenerator(7)
		told := s.Randn(g, torch.Float64, 2, n, ConditioningSize)
		grow := s.Randn(g, torch.Float64, 2, n, 4)
		refine := func(told *torch.Tensor) []Output {
			out, _, err := d.Refine(levels, boxes, nil, told, []float64{999, 3}, true)
			require.NoError(t, err)
			return out
		}
		logits := func(told *torch.Tensor) []float64 { return torch.Values[float64](refine(told)[1].Logits) }
		require.Equal(t, logits(nil), logits(told.ZerosLike()), "what is not known adds nothing")
		require.NotEqual(t, logits(nil), logits(told))

		image := torch.From(s, []int64{0, 0, 0, 0, 0, 1, 1, 1, 1, 1}, 2*n)
		from := d.pool(levels, boxes, image, true)
		plain, added := torch.Values[float64](d.start(from, boxes, nil, nil)), torch.Values[float64](d.start(from, boxes, nil, told))
		c, w := torch.Values[float64](told), torch.Values[float64](d.last.Weight)
		for row := range 2 * n {
			for o := range 8 {
				want := plain[8*row+o]
				for k := range ConditioningSize {
					want += w[o*ConditioningSize+k] * c[row*ConditioningSize+k]
				}
				require.InDelta(t, want, added[8*row+o], 1e-12)
			}
		}

		loss := func() *torch.Tensor { return refine(told)[0].Boxes.Mul(grow).Sum() }
		var gradient []float64
		torch.WithGrad(func() {
			d.last.Weight.SetRequiresGrad(true)
			loss().Backward()
			gradient = torch.Values[float64](d.last.Weight.Grad(s))
		})
		d.last.Weight.SetRequiresGrad(false)
		const step = 1e-6
		for k := range w {
			at := func(v float64) float64 {
				moved := append([]float64{}, w...)
				moved[k] = v
				d.last.Weight.CopyInPlace(torch.From(s, moved, 8, ConditioningSize))
				return loss().Item()
			}
			require.InDelta(t, (at(w[k]+step)-at(w[k]-step))/(2*step), gradient[k], 1e-4, "weight %d", k)
		}
	})
}

// A new decoder does not listen yet.
func TestConditioningStartsAtZero(t *testing.T) {
	withTold(t, nn.FromSeed(3), func(s *torch.Scope, d *Decoder, levels []*torch.Tensor) {
		boxes := someBoxes(s, 2, 4).ToDType(torch.Float64)
		told := s.Randn(torch.NewGenerator(7), torch.Float64, 2, 4, ConditioningSize)
		var got [2][]float64
		for i, c := range []*torch.Tensor{nil, told} {
			out, _, err := d.Refine(levels, boxes, nil, c, []float64{999, 3}, false)
			require.NoError(t, err)
			got[i] = torch.Values[float64](out[1].Logits)
		}
		require.Equal(t, got[0], got[1])
	})
}
