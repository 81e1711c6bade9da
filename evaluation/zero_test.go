package evaluation_test

import (
	"testing"

	"github.com/diffusioninst/go/evaluation"
	"github.com/diffusioninst/go/internal/zerotest"
)

func TestNothing(t *testing.T) {
	zerotest.Check(t,
		new(evaluation.Image), new(evaluation.Set), evaluation.Open, evaluation.OpenAnnotations,
	)
}
