package train

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/diffusioninst"
)

func relative(c diffusioninst.Config) diffusioninst.Config {
	c.MaskHead.Coordinates = true
	return c
}

// Relative coordinates are learnt on top of a model that was trained without them.
func TestRelativeCoordinatesAreLearnt(t *testing.T) {
	require.Len(t, learntOnTop(t, relative, ".coordinates."), 2*(16*16+16), "two stages")
}
