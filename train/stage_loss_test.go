package train

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// smallFilters is a loss that the test defines: the filters' mean square, so heavy that they shrink.
type smallFilters struct {
	name  string
	check func(p StagePrediction)
}

func (l smallFilters) Name() string { return l.name }

func (l smallFilters) Loss(p StagePrediction) *torch.Tensor {
	if l.check != nil {
		l.check(p)
	}
	return p.Filters.Mul(p.Filters).Mean().MulScalar(1000)
}

func TestExtraLoss(t *testing.T) {
	batch := pictures(2)
	var stages []int
	loss := smallFilters{"loss_filters", func(p StagePrediction) {
		stages = append(stages, p.Stage)
		require.Equal(t, []int{3, 12, 4}, p.Boxes.Shape())
		require.Equal(t, []int{3, 12, 2}, p.Logits.Shape())
		require.Len(t, p.Samples, 3)
		answered := map[[2]int]bool{}
		for _, m := range p.Pairs {
			require.Less(t, m.Proposal, 12)
			require.Less(t, m.Object, len(p.Samples[m.Sample].Objects))
			answered[[2]int{m.Sample, m.Object}] = true
		}
		require.Len(t, answered, 3, "every object has a proposal")
	}}
	o := Options{Objective: Objective{Extra: []StageLoss{loss}}, Rate: 3e-3, Schedule: nn.ConstantRate{}, Frozen: []string{}}
	tr := newTrainer(t, small(2), o)
	var first, last *Report
	for range 20 {
		r, err := tr.Step(context.Background(), batch)
		require.NoError(t, err)
		if first == nil {
			first = r
		}
		last = r
	}
	require.Equal(t, []int{1, 0}, stages[:2])
	require.Len(t, first.Losses, 10)
	require.Equal(t, "loss_filters", first.Losses[4].Name)
	require.Equal(t, "loss_filters_0", first.Losses[9].Name)
	require.Less(t, last.Losses[4].Value, first.Losses[4].Value)
	sum := 0.0
	for _, l := range first.Losses {
		sum += l.Value
	}
	require.InDelta(t, first.Total, sum, 1e-9)

	for _, name := range []string{"", "loss_ce"} {
		o.Objective.Extra = []StageLoss{smallFilters{name: name}}
		_, err := o.withDefaults(2)
		require.ErrorContains(t, err, "name of its own")
	}
}
