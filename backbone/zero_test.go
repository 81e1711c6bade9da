package backbone_test

import (
	"testing"

	"github.com/diffusioninst/go/backbone"
	"github.com/diffusioninst/go/internal/zerotest"
)

func TestNothing(t *testing.T) {
	zerotest.Check(t,
		new(backbone.BuilderFunc), new(backbone.ResNetFPN), new(backbone.SwinFPN), backbone.SwinOfSize,
	)
}
