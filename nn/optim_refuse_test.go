package nn_test

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

func TestOptimizersRefuse(t *testing.T) {
	nan := math.NaN()
	for name, open := range map[string]func(p []*nn.Parameter) nn.Optimizer{
		"Nesterov": func(p []*nn.Parameter) nn.Optimizer {
			return nn.NewSGD([]nn.ParamGroup{{Parameters: p}}, nn.SGDOptions{Nesterov: true})
		},
		"momentum": func(p []*nn.Parameter) nn.Optimizer {
			return nn.NewSGD([]nn.ParamGroup{{Parameters: p}}, nn.SGDOptions{Momentum: -0.9})
		},
		"NaN momentum": func(p []*nn.Parameter) nn.Optimizer {
			return nn.NewSGD([]nn.ParamGroup{{Parameters: p}}, nn.SGDOptions{Momentum: nan})
		},
		"rate": func(p []*nn.Parameter) nn.Optimizer {
			return nn.NewSGD([]nn.ParamGroup{{Parameters: p, Rate: -1}}, nn.SGDOptions{})
		},
		"NaN rate": func(p []*nn.Parameter) nn.Optimizer {
			return nn.NewAdamW([]nn.ParamGroup{{Parameters: p, Rate: nan}}, nn.AdamWOptions{})
		},
		"decay": func(p []*nn.Parameter) nn.Optimizer {
			return nn.NewAdamW([]nn.ParamGroup{{Parameters: p, Decay: math.Inf(1)}}, nn.AdamWOptions{})
		},
		"beta": func(p []*nn.Parameter) nn.Optimizer {
			return nn.NewAdamW([]nn.ParamGroup{{Parameters: p}}, nn.AdamWOptions{Beta1: 1})
		},
	} {
		before := torch.Live()
		err := torch.Do(context.Background(), func(*torch.Scope) error {
			st := twoVectors(torch.CPU)
			defer st.Close()
			open(st.Parameters()).Close()
			return nil
		})
		var bad *torch.Error
		require.ErrorAs(t, err, &bad, name)
		require.Equal(t, before, torch.Live(), name)
	}
}
