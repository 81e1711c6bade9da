package coco

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/leak"
)

func TestForEachCarriesPanics(t *testing.T) {
	leak.Check(t)
	for _, workers := range []int{0, 1, 7} {
		require.PanicsWithValue(t, "lost", func() {
			_, _ = forEach(context.Background(), workers, 100, func(i int) (int, error) {
				if i == 40 {
					panic("lost")
				}
				return i, nil
			})
		})
	}
}
