package torch

import (
	"context"
	"image"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMaskSumsRefuseWhatDoesNotFit(t *testing.T) {
	for says, c := range map[string]struct {
		params int
		box    image.Rectangle
	}{
		"does not fit":   {152, image.Rect(0, 0, 3, 3)},
		"reaches beyond": {153, image.Rect(0, 0, 3, 6)},
	} {
		require.ErrorContains(t, Do(context.Background(), func(s *Scope) error {
			zeros := func(shape ...int) *Tensor { return s.Zeros(F32(CPU), shape...) }
			DynamicMaskSums(zeros(8, 5, 4), zeros(1, c.params), 3, []image.Rectangle{c.box})
			return nil
		}), says)
	}
}
