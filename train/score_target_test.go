package train

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/closetest"
	"github.com/diffusioninst/go/internal/modeltest"
	"github.com/diffusioninst/go/torch"
)

// The targets by hand: masks of known overlap, of which the last covers no pixel of the targets.
func TestQualityByHand(t *testing.T) {
	m := somePairs()
	modeltest.Do(t, func(s *torch.Scope) {
		boxes := s.Zeros(torch.F32(torch.CPU), 2, 3, 4)
		rows := torch.Values[float32](boxes)
		copy(rows[0:], []float32{10, 10, 50, 35}) // the upper half of 10, 10, 50, 60
		copy(rows[8:], []float32{30, 5, 60, 40})  // 30, 5, 60, 40 itself
		copy(rows[16:], []float32{1, 2, 90, 36})  // the upper half of 1, 2, 90, 70
		boxes = torch.From(s, rows, 2, 3, 4)
		b := &batch{masks: torch.From(s, []uint8{1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0}, 3, 4)}
		dice := func() *torch.Tensor { return torch.From(s, []float32{0, 1. / 3, 1}) } // losses
		require.Nil(t, m.quality(ScoreOne, b, boxes, nil))
		require.Nil(t, (&matchedPairs{}).quality(ScoreMaskIoU, b, boxes, nil))
		closetest.Slices(t, []float32{0.5, 1, 0.5}, torch.Values[float32](m.quality(ScoreBoxIoU, b, boxes, nil)), 1e-6)
		closetest.Slices(t, []float32{1, 0.5, 0.5}, torch.Values[float32](m.quality(ScoreMaskIoU, b, boxes, dice)), 1e-6,
			"d/(2−d), and the box's where there is no mask")
	})
}

func TestQualityFocalLossByHand(t *testing.T) {
	x := values(2*3*5, func(i int) float64 { return 3 * math.Sin(float64(7*i)) })
	m := somePairs()
	y := make([]float64, len(x))
	for i, row := range m.rows {
		y[row*5+m.classes[i]] = []float64{0.9, 0.2, 0.6}[i]
	}
	want := 0.0
	for i, v := range x {
		p := 1 / (1 + math.Exp(-v))
		want -= math.Pow(math.Abs(y[i]-p), 2) * (y[i]*math.Log(p) + (1-y[i])*math.Log(1-p))
	}
	o := Objective{Alpha: 0.25, Gamma: 2, ScoreTarget: ScoreMaskIoU}
	loss := func(x *torch.Tensor) *torch.Tensor {
		return o.classLoss(m, alone(m), x, torch.From(x.Scope(), []float64{0.9, 0.2, 0.6}))
	}
	modeltest.Do(t, func(s *torch.Scope) {
		require.InEpsilon(t, want/3, loss(torch.From(s, x, 2, 3, 5)).Item(), 1e-12)
	})
	checkGradient(t, x, []int{2, 3, 5}, loss)
}

// Through a trainer: the score target moves the class loss, and nothing else in the first step.
func TestScoreTargetMovesTheClassLossOnly(t *testing.T) {
	losses := map[ScoreTarget]*Report{}
	for _, target := range []ScoreTarget{ScoreOne, ScoreMaskIoU, ScoreBoxIoU} {
		r, err := newTrainer(t, small(2), Options{Objective: Objective{ScoreTarget: target}}).Step(t.Context(), pictures(2))
		require.NoError(t, err)
		losses[target] = r
	}
	for _, target := range []ScoreTarget{ScoreMaskIoU, ScoreBoxIoU} {
		for i, l := range losses[target].Losses {
			was := losses[ScoreOne].Losses[i]
			require.Equal(t, was.Name, l.Name)
			if l.Name == "loss_ce" || l.Name == "loss_ce_0" {
				require.NotEqual(t, was.Value, l.Value)
				continue
			}
			require.Equal(t, was.Value, l.Value, l.Name)
		}
	}
	_, err := Objective{ScoreTarget: "giou"}.withDefaults(1)
	require.ErrorContains(t, err, `"mask" or "box"`)
}
