package sampler_test

import (
	"testing"

	"github.com/diffusioninst/go/internal/zerotest"
	"github.com/diffusioninst/go/sampler"
)

func TestNothing(t *testing.T) {
	zerotest.Check(t,
		new(sampler.Config), new(sampler.DDIM), new(sampler.DDPM), new(sampler.DPMSolver2M), new(sampler.Euler),
		new(sampler.Heun), new(sampler.KarrasGrid), new(sampler.LinearGrid), new(sampler.NoRenewal), new(sampler.Pending),
		new(sampler.QuadraticGrid), new(sampler.Restart), new(sampler.Schedule), new(sampler.Step), new(sampler.StepError),
		new(sampler.Threshold), new(sampler.Times), new(sampler.TopFraction),
	)
}
