package picture_test

import (
	"testing"

	"github.com/diffusioninst/go/internal/zerotest"
	"github.com/diffusioninst/go/picture"
)

func TestNothing(t *testing.T) {
	zerotest.Check(t,
		new(picture.Error), new(picture.Float), new(picture.Normalize), new(picture.Picture), new(picture.Source),
		new(picture.Stream), picture.Decode, picture.Find, picture.Open, picture.OpenChannels, picture.OpenSource,
		picture.Pages,
	)
}
