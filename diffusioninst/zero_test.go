package diffusioninst_test

import (
	"testing"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/internal/zerotest"
)

func TestNothing(t *testing.T) {
	zerotest.Check(t,
		new(diffusioninst.Box), new(diffusioninst.Config), new(diffusioninst.ConfigError), new(diffusioninst.ConfigFile),
		new(diffusioninst.ImageError), new(diffusioninst.Input), new(diffusioninst.Instance), new(diffusioninst.LimitError),
		new(diffusioninst.LoadError), new(diffusioninst.Model), new(diffusioninst.OptionError), new(diffusioninst.Precision),
		new(diffusioninst.Result), new(diffusioninst.Scales), new(diffusioninst.SizePrior), new(diffusioninst.ViewError),
		diffusioninst.Infer, diffusioninst.Load, diffusioninst.LoadConfig, diffusioninst.LoadFrom, diffusioninst.LoadSource,
		diffusioninst.New, diffusioninst.NewFrom, diffusioninst.NewNetwork, diffusioninst.OpenConfig,
		diffusioninst.ParsePrecision,
	)
}
