package train

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/decoder"
	"github.com/diffusioninst/go/internal/modeltest"
	"github.com/diffusioninst/go/maskhead"
	"github.com/diffusioninst/go/torch"
)

// checkGradient compares the gradient of loss at x, float64 values of a shape, with
// central differences.
func checkGradient(t *testing.T, x []float64, shape []int, loss func(x *torch.Tensor) *torch.Tensor) {
	t.Helper()
	modeltest.Do(t, func(s *torch.Scope) {
		var got []float64
		torch.WithGrad(func() {
			leaf := torch.From(s, x, shape...).SetRequiresGrad(true)
			loss(leaf).Backward()
			got = torch.Values[float64](leaf.Grad(s))
		})
		at := func(i int, step float64) float64 {
			moved := append([]float64(nil), x...)
			moved[i] += step
			return loss(torch.From(s, moved, shape...)).Item()
		}
		const h = 1e-5
		moving := 0
		for i := range x {
			want := (at(i, h) - at(i, -h)) / (2 * h)
			require.InDelta(t, want, got[i], 1e-6*math.Max(1, math.Abs(want)), "element %d", i)
			if want != 0 {
				moving++
			}
		}
		require.Positive(t, moving, "a loss that nothing moves")
	})
}

func values(n int, f func(i int) float64) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = f(i)
	}
	return out
}

// alone is what losses have in common when a batch has no other parts.
func alone(m *matchedPairs) settled { return settled{pairs: int64(len(m.rows))} }

// somePairs pairs proposals of two pictures of 100×80 pixels, 3 proposals each.
func somePairs() *matchedPairs {
	return &matchedPairs{
		rows: []int64{0, 2, 4}, classes: []int64{1, 0, 3}, total: 6,
		boxes:  []float32{10, 10, 50, 60, 30, 5, 60, 40, 1, 2, 90, 70},
		sizes:  []float32{100, 80, 100, 80, 100, 80, 100, 80, 100, 80, 100, 80},
		images: []int64{0, 0, 1}, truths: []int64{1, 0, 2},
	}
}

func TestClassLossGradients(t *testing.T) {
	x := values(2*3*5, func(i int) float64 { return 3 * math.Sin(float64(7*i)) })
	federated := &Federated{Weights: []float32{1, 1, 1, 1, 1}, Classes: 5}
	for name, o := range map[string]Objective{
		"focal":                   {Alpha: 0.25, Gamma: 2},
		"other constants":         {Alpha: 0.6, Gamma: 1.5},
		"federated":               {Alpha: 0.25, Gamma: 2, Federated: federated},
		"federated without focal": {NoFocal: true, Federated: federated},
	} {
		t.Run(name, func(t *testing.T) {
			checkGradient(t, x, []int{2, 3, 5}, func(x *torch.Tensor) *torch.Tensor {
				m := somePairs()
				return o.classLoss(m, o.settle([]stageTotals{m.totals(5)}, NewRandom(4))[0], x, nil)
			})
		})
	}
}

func TestFocalLossByHand(t *testing.T) {
	x := values(2*3*5, func(i int) float64 { return 3 * math.Sin(float64(7*i)) })
	m := somePairs()
	positive := map[int]bool{}
	for i, row := range m.rows {
		positive[int(row*5+m.classes[i])] = true
	}
	want := 0.0
	for i, v := range x {
		p := 1 / (1 + math.Exp(-v))
		if positive[i] {
			want += 0.25 * (1 - p) * (1 - p) * -math.Log(p)
		} else {
			want += 0.75 * p * p * -math.Log(1-p)
		}
	}
	modeltest.Do(t, func(s *torch.Scope) {
		got := Objective{Alpha: 0.25, Gamma: 2}.classLoss(m, alone(m), torch.From(s, x, 2, 3, 5), nil)
		require.InEpsilon(t, want/3, got.Item(), 1e-12)
	})
}

func TestFocalLossOfExtremeLogitsIsFinite(t *testing.T) {
	modeltest.Do(t, func(s *torch.Scope) {
		torch.WithGrad(func() {
			x := torch.From(s, []float32{200, -200, 0, 1e4, -1e4, 90, -90, 88}, 1, 2, 4).SetRequiresGrad(true)
			m := &matchedPairs{rows: []int64{0, 1}, classes: []int64{1, 0}, total: 2}
			loss := Objective{Alpha: 0.25, Gamma: 2}.classLoss(m, alone(m), x, nil)
			loss.Backward()
			require.NotZero(t, loss.Item())
			require.Equal(t, 1.0, x.Grad(s).IsFinite().All().Item())
		})
	})
}

func TestBoxLossGradients(t *testing.T) {
	// Overlapping, apart, and one inside the other.
	x := []float64{
		12, 9, 47, 66, 0, 0, 1, 1, 70, 50, 95, 75,
		0, 0, 1, 1, 5, 6, 80, 60, 0, 0, 1, 1,
	}
	for k, name := range []string{"L1", "GIoU"} {
		t.Run(name, func(t *testing.T) {
			checkGradient(t, x, []int{2, 3, 4}, func(x *torch.Tensor) *torch.Tensor {
				l1, giou := somePairs().boxLosses(settled{pairs: 3}, x)
				return []*torch.Tensor{l1, giou}[k]
			})
		})
	}
}

func TestMaskLossGradients(t *testing.T) {
	head := maskhead.Head{Channels: 2, Layers: 2}
	params := head.Params()
	filters := values(2*3*params, func(i int) float64 { return math.Cos(float64(5 * i)) })
	features := values(2*2*4*5, func(i int) float64 { return math.Sin(float64(3*i)) + 0.1 })
	loss := func(filters, features *torch.Tensor) *torch.Tensor {
		s := features.Scope()
		b := &batch{masks: torch.From(s, []uint8{
			0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
			1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
			0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 1, 1, 0, 0, 0,
		}, 3, 20)}
		out, m := decoder.Output{Boxes: filters, Filters: filters}, somePairs()
		return m.maskLoss(settled{pairs: 3}, features, out, func() *torch.Tensor { return m.maskDice(b, head, features, out) })
	}
	t.Run("filters", func(t *testing.T) {
		checkGradient(t, filters, []int{2, 3, params}, func(x *torch.Tensor) *torch.Tensor {
			return loss(x, torch.From(x.Scope(), features, 2, 2, 4, 5))
		})
	})
	t.Run("features", func(t *testing.T) {
		checkGradient(t, features, []int{2, 2, 4, 5}, func(x *torch.Tensor) *torch.Tensor {
			return loss(torch.From(x.Scope(), filters, 2, 3, params), x)
		})
	})
}

func TestLossesWithoutMatchesAreZeroAndKeepTheGraph(t *testing.T) {
	modeltest.Do(t, func(s *torch.Scope) {
		torch.WithGrad(func() {
			m := &matchedPairs{total: 6}
			boxes := s.Full(3, torch.F32(torch.CPU), 2, 3, 4).SetRequiresGrad(true)
			l1, giou := m.boxLosses(settled{}, boxes)
			masks := m.maskLoss(settled{}, s.Zeros(torch.F32(torch.CPU), 2, 8, 4, 4), decoder.Output{Boxes: boxes}, nil)
			for _, v := range []*torch.Tensor{l1, giou, masks} {
				require.Zero(t, v.Item())
				v.Backward()
			}
			require.Equal(t, make([]float64, 24), torch.Values[float64](boxes.Grad(s)))
		})
	})
}

func TestFederatedChoice(t *testing.T) {
	weights := make([]float32, 100)
	for i := range weights {
		weights[i] = 1
	}
	weights[7] = 0
	f := Federated{Weights: weights, Classes: 10}
	m := (&matchedPairs{classes: []int64{5, 42, 5}, total: 20}).totals(100)
	got := f.choose(m, NewRandom(1))
	require.Len(t, got, 9, "two classes, the background and seven more make ten")
	require.Subset(t, got, []int64{5, 42})
	require.NotContains(t, got, int64(7))
	require.IsIncreasing(t, got)

	m.proposals = 3
	require.Len(t, f.choose(m, NewRandom(1)), 10, "no background")
	f.Classes = 2
	m.proposals = 20
	require.Equal(t, []int64{5, 42}, f.choose(m, nil), "nothing is drawn")
}
