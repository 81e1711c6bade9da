package train

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/backbone"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/nn"
)

func TestBackbonesTrainAlikeInBothPrecisions(t *testing.T) {
	lvis := small(300)
	weights := make([]float32, 300)
	for i := range weights {
		weights[i] = float32(math.Sqrt(float64(i)))
	}
	with := func(b backbone.Builder) diffusioninst.Config {
		c := small(2)
		c.Backbone = b
		return c
	}
	swin := backbone.Swin{Size: "XXS", DropRate: -1}
	random := backbone.Swin{Size: "XXS", DropRate: 0.5}
	for name, c := range map[string]struct {
		config  diffusioninst.Config
		options Options
	}{
		"federated":        {lvis, Options{Objective: Objective{Federated: &Federated{Weights: weights}}}},
		"no focal":         {lvis, Options{Objective: Objective{NoFocal: true, Federated: &Federated{Weights: weights}}}},
		"Swin":             {with(backbone.SwinFPN{Channels: 16, Swin: swin}), Options{}},
		"stochastic depth": {with(backbone.SwinFPN{Channels: 16, Swin: random}), Options{Seed: 4}},
		"batch norm":       {with(backbone.ResNetFPN{Channels: 16, ResNet: backbone.ResNet{Depth: 18, StemChannels: 8, Res2Channels: 8, Norm: nn.BatchNorm}}), Options{Frozen: []string{}}},
	} {
		t.Run(name, func(t *testing.T) {
			var reports [2]*Report
			for i := range reports {
				o := c.options
				o.Float64 = i == 1
				var err error
				reports[i], err = newTrainer(t, c.config, o).Step(context.Background(), pictures(2))
				require.NoError(t, err)
			}
			require.InEpsilon(t, reports[1].Total, reports[0].Total, 1e-4)
			require.InEpsilon(t, reports[1].Norm, reports[0].Norm, 1e-2)
		})
	}
}

func TestBatchNormOfFrozenStagesKeepsItsStatistics(t *testing.T) {
	c := small(2)
	c.Backbone = backbone.ResNetFPN{Channels: 16, ResNet: backbone.ResNet{Depth: 18, StemChannels: 8, Res2Channels: 8, Norm: nn.BatchNorm}}
	trainer := newTrainer(t, c, Options{Frozen: FreezeStages(3)})
	training := 0
	for _, n := range trainer.store.Norms() {
		require.Equal(t, !trainer.options.frozen(n.Name), n.Training, n.Name)
		if n.Training {
			training++
		}
	}
	require.Positive(t, training)
	require.Less(t, training, len(trainer.store.Norms()))
}
