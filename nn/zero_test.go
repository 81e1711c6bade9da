package nn_test

import (
	"testing"

	"github.com/diffusioninst/go/internal/zerotest"
	"github.com/diffusioninst/go/nn"
)

func TestNothing(t *testing.T) {
	zerotest.Check(t,
		new(nn.Checkpoint), new(nn.ConstantRate), new(nn.Conv2d), new(nn.Cosine), new(nn.EMA), new(nn.Fit),
		new(nn.LRScheduleFunc), new(nn.LayerNorm), new(nn.Linear), new(nn.LoadError), new(nn.MultiStep), new(nn.Norm),
		new(nn.NotFiniteError), new(nn.Path), new(nn.SelfAttention), new(nn.ShapeError), new(nn.Store), new(nn.Warmup),
		nn.OpenCheckpoint, nn.ReadCheckpoint,
	)
}
