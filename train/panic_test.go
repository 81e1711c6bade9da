package train

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/backbone"
	"github.com/diffusioninst/go/internal/leak"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// endingLoss ends the goroutine that computes it, until it is told not to.
type endingLoss struct{ end *func() }

func (endingLoss) Name() string { return "loss_ending" }

func (e endingLoss) Loss(p StagePrediction) *torch.Tensor {
	if *e.end != nil {
		(*e.end)()
	}
	return p.Logits.Sum().MulScalar(0)
}

// endingBackbone ends the goroutine that runs it, until it is told not to.
type endingBackbone struct {
	backbone.Backbone
	end *func()
}

func (b endingBackbone) Forward(x *torch.Tensor) []*torch.Tensor {
	if *b.end != nil {
		(*b.end)()
	}
	return b.Backbone.Forward(x)
}

// What ends a loss term or a backbone ends the caller of Step, on one replica and on several.
// The parameters stay, no tensor is left, and the trainer lives on.
func TestPanicsGoOnInStep(t *testing.T) {
	lost := errors.New("lost")
	for _, replicas := range []int{1, 3} {
		for _, where := range []string{"loss", "backbone"} {
			t.Run(fmt.Sprintf("%s on %d replicas", where, replicas), func(t *testing.T) {
				leak.Check(t)
				var loss, forward func()
				end := &loss
				if where == "backbone" {
					end = &forward
				}
				c := batchNormed()
				inner := c.Backbone
				c.Backbone = backbone.BuilderFunc(func(p nn.Path) (backbone.Backbone, error) {
					b, err := inner.Build(p)
					return endingBackbone{b, &forward}, err
				})
				o := Options{Replicas: replicas, SyncBatchNorm: replicas > 1, Objective: Objective{Extra: []StageLoss{endingLoss{&loss}}}}
				tr := newTrainer(t, c, learning(o))
				step := func() error {
					_, err := tr.Step(context.Background(), pictures(2))
					return err
				}
				require.NoError(t, step())
				want := torch.Live()

				*end = func() { panic(lost) }
				require.PanicsWithValue(t, lost, func() { _ = step() })
				require.Equal(t, want, torch.Live())

				*end = runtime.Goexit
				exited := make(chan bool)
				go func() {
					returned := false
					defer func() { exited <- !returned }()
					_ = step()
					returned = true
				}()
				require.True(t, <-exited)
				require.Equal(t, want, torch.Live())

				*end = nil
				require.NoError(t, step())
			})
		}
	}
}
