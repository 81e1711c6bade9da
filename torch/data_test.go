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

// So may shapes, boxes and whatever else is a slice of numbers.
func TestNumbersBesidePointers(t *testing.T) {
	owner := &struct {
		shape   [2]int
		boxes   [8]float32
		scores  [2]float32
		classes [2]int64
		steps   [1]int64
		scales  [1]float64
		name    *string
	}{
		shape: [2]int{1, 3}, boxes: [8]float32{0, 0, 4, 4, 0, 0, 4, 4}, scores: [2]float32{0.5, 0.75}, classes: [2]int64{1, 1},
		scales: [1]float64{1}, name: new(string),
	}
	require.Equal(t, []int64{1}, torch.NMS(owner.boxes[:], owner.scores[:], owner.classes[:], 0.5))
	require.NoError(t, torch.Do(context.Background(), func(s *torch.Scope) error {
		x := torch.From(s, []float32{1, 2, 3}, owner.shape[:]...)
		require.Equal(t, []int{3}, x.Reshape(owner.shape[1:]...).Shape())
		leaf := torch.From(s, []float32{1})
		torch.AdamW{Rate: 0.1}.Step([]*torch.Tensor{leaf}, []*torch.Tensor{torch.From(s, []float32{0})}, []*torch.Tensor{torch.From(s, []float32{0})}, owner.steps[:])
		level := torch.From(s, make([]float32, 16), 1, 1, 4, 4)
		pooled := torch.RoIAlign([]*torch.Tensor{level}, torch.From(s, owner.boxes[:4], 1, 4), torch.From(s, []int64{0}), torch.From(s, []int64{0}),
			torch.RoIAlignConfig{Scales: owner.scales[:], Bins: 2, Samples: 2})
		require.Equal(t, []int{1, 4, 1}, pooled.Shape())
		return nil
	}))
}
