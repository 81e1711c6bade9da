package maskhead

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/modeltest"
	"github.com/diffusioninst/go/torch"
)

// diceCase is four instances of three pictures, the second of which has none.
type diceCase struct {
	head              Head
	h, w              int
	features, filters []float64
	truths            []uint8
	parts             []float64 // in place of truths, if not nil
}

func newDiceCase(head Head, h, w int) diceCase {
	r := rand.New(rand.NewPCG(3, uint64(h*w)))
	c := diceCase{head: head, h: h, w: w, truths: make([]uint8, 3*h*w)}
	normal := func(n int) []float64 {
		out := make([]float64, n)
		for i := range out {
			out[i] = r.NormFloat64()
		}
		return out
	}
	c.features, c.filters = normal(3*head.withDefaults().Channels*h*w), normal(4*head.Params())
	for i := range c.truths {
		c.truths[i] = uint8(r.IntN(2))
	}
	return c
}

// run gives the weighted sum of the losses, and their gradients.
func (c diceCase) run(s *torch.Scope, d torch.Options, features, filters []float64, fused bool) (losses, dfeatures, dfilters *torch.Tensor) {
	torch.WithGrad(func() {
		x := torch.From(s, features, 3, c.head.withDefaults().Channels, c.h, c.w).ToDType(d.DType).To(d.Device).SetRequiresGrad(true)
		f := torch.From(s, filters, 4, c.head.Params()).ToDType(d.DType).To(d.Device).SetRequiresGrad(true)
		dice := c.head.composedDice
		if fused {
			dice = c.head.Dice
		}
		truths := torch.From(s, c.truths, 3, c.h*c.w)
		if c.parts != nil {
			truths = torch.From(s, c.parts, 3, c.h*c.w).ToDType(d.DType)
		}
		losses = dice(x, f, []int64{0, 0, 0, 2}, truths.To(d.Device), []int64{1, 0, 1, 2})
		losses.Mul(torch.From(s, []float64{1, -2, 0.5, 3}).ToDType(d.DType).To(d.Device)).Sum().Backward()
		losses, dfeatures, dfilters = losses.To(torch.CPU), x.Grad(s).To(torch.CPU), f.Grad(s).To(torch.CPU)
	})
	return losses, dfeatures, dfilters
}

func TestFusedDiceIsTheComposedOne(t *testing.T) {
	parts := newDiceCase(Head{}, 31, 23)
	for range parts.truths {
		parts.parts = append(parts.parts, rand.Float64())
	}
	for _, c := range []diceCase{
		parts,
		newDiceCase(Head{}, 48, 40),
		newDiceCase(Head{}, 5, 7),
		newDiceCase(Head{Channels: 8, Layers: 1}, 9, 8),
		newDiceCase(Head{Channels: 5, Layers: 4}, 24, 29),
		newDiceCase(Head{Channels: 32, Layers: 2}, 6, 6),
	} {
		for d, tolerance := range map[torch.DType]float64{torch.Float32: 2e-5, torch.Float64: 1e-12} {
			t.Run(fmt.Sprintf("%+v %dx%d %v", c.head, c.h, c.w, d), func(t *testing.T) {
				modeltest.Do(t, func(s *torch.Scope) {
					l2, x2, f2 := c.run(s, torch.Options{DType: d}, c.features, c.filters, false)
					for _, device := range modeltest.Devices() {
						l1, x1, f1 := c.run(s, torch.Options{DType: d, Device: device}, c.features, c.filters, true)
						for i, pair := range [][2]*torch.Tensor{{l1, l2}, {x1, x2}, {f1, f2}} {
							far := pair[0].Detach().Sub(pair[1].Detach()).Norm().Item() / pair[1].Detach().Norm().Item()
							require.Less(t, far, tolerance, "%v: losses, features, filters: %d", device, i)
						}
					}
				})
			})
		}
	}
}

func TestFusedDiceGradients(t *testing.T) {
	for _, c := range []diceCase{newDiceCase(Head{}, 3, 4), newDiceCase(Head{Channels: 3, Layers: 2}, 5, 3)} {
		modeltest.Do(t, func(s *torch.Scope) {
			_, dx, df := c.run(s, torch.Options{DType: torch.Float64}, c.features, c.filters, true)
			loss := func(features, filters []float64) float64 {
				mark := s.Mark()
				defer s.Release(mark)
				losses, _, _ := c.run(s, torch.Options{DType: torch.Float64}, features, filters, true)
				v := torch.Values[float64](losses.Detach())
				return v[0] - 2*v[1] + v[2]/2 + 3*v[3]
			}
			const h = 1e-6
			check := func(values, got []float64, at func() float64) {
				for i, v := range values {
					values[i] = v + h
					up := at()
					values[i] = v - h
					want := (up - at()) / (2 * h)
					values[i] = v
					require.InDelta(t, want, got[i], 1e-7*math.Max(1, math.Abs(want)), "element %d", i)
				}
			}
			x, f := append([]float64(nil), c.features...), append([]float64(nil), c.filters...)
			at := func() float64 { return loss(x, f) }
			check(x, torch.Values[float64](dx), at)
			check(f, torch.Values[float64](df), at)
		})
	}
}

func TestDiceKeepsNaN(t *testing.T) {
	c := newDiceCase(Head{}, 8, 8)
	c.features[5] = math.NaN()
	for _, device := range modeltest.Devices() {
		modeltest.Do(t, func(s *torch.Scope) {
			losses, _, _ := c.run(s, torch.F32(device), c.features, c.filters, true)
			v := torch.Values[float64](losses.Detach())
			require.True(t, math.IsNaN(v[0]))
			require.False(t, math.IsNaN(v[3]), "another picture's")
		})
	}
}

func TestDiceRefusesWhatDoesNotFit(t *testing.T) {
	refused := func(image, truth []int64, params int) {
		t.Helper()
		var e *torch.Error
		err := torch.Do(context.Background(), func(s *torch.Scope) error {
			Head{}.Dice(s.Zeros(torch.F32(torch.CPU), 2, 8, 4, 4), s.Zeros(torch.F32(torch.CPU), 2, params), image,
				s.Zeros(torch.Options{DType: torch.Uint8, Device: torch.CPU}, 3, 16), truth)
			return nil
		})
		require.ErrorAs(t, err, &e)
	}
	refused([]int64{1, 0}, []int64{0, 0}, 153)
	refused([]int64{0, 2}, []int64{0, 0}, 153)
	refused([]int64{-1, 0}, []int64{0, 0}, 153)
	refused([]int64{0, 0}, []int64{0, 3}, 153)
	refused([]int64{0, 0}, []int64{0, 0}, 152)
	refused([]int64{0}, []int64{0, 0}, 153)
}
