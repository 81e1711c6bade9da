package torch_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/torch"
)

// Data may lie in memory that also holds Go pointers, which cgo refuses as a whole.
func TestDataBesidePointers(t *testing.T) {
	owner := &struct {
		values [3]float32
		list   []int
		name   *string
	}{values: [3]float32{1, 2, 3}, list: []int{1}, name: new(string)}
	require.NoError(t, torch.Do(context.Background(), func(s *torch.Scope) error {
		require.Equal(t, []float32{1, 2, 3}, torch.Values[float32](torch.From(s, owner.values[:])))
		require.Empty(t, torch.Values[float32](torch.From(s, owner.values[:0])))
		return nil
	}))
}
