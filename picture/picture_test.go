package picture

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPixelSide(t *testing.T) {
	for size, want := range map[[2]float64]float64{
		{}: 0, {0.5, 0.5}: 0.5, {0.5, 0.5002}: 0.5, {0.5, 0.6}: 0, {0.5, 0}: 0, {0, 0.5}: 0,
	} {
		require.Equal(t, want, (&Picture{PixelSize: size}).PixelSide(), size)
	}
}
