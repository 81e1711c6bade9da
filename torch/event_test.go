package torch_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/torch"
)

// Events tell the time of what lies between them. It runs on a GPU, or else on the fake one.
func TestEvents(t *testing.T) {
	do := func(f func(s *torch.Scope)) error {
		return torch.Do(context.Background(), func(s *torch.Scope) error {
			f(s)
			return nil
		})
	}
	var failed *torch.Error
	require.ErrorAs(t, do(func(*torch.Scope) { torch.CPU.RecordEvent() }), &failed)
	if torch.CUDADevices() == 0 {
		return
	}
	gpu := torch.CUDA(0)
	require.NoError(t, do(func(s *torch.Scope) {
		begin := gpu.RecordEvent()
		x := s.Randn(torch.NewGenerator(1), torch.Float32, 300, 300).To(gpu)
		for range 10 {
			x = x.Matmul(x).MulScalar(1e-3)
		}
		middle := gpu.RecordEvent()
		x.Matmul(x)
		end := gpu.RecordEvent()
		require.Positive(t, middle.Since(begin))
		require.Positive(t, end.Since(middle))
		require.InDelta(t, end.Since(begin), middle.Since(begin)+end.Since(middle), 1e4) // float32 milliseconds
		require.Negative(t, begin.Since(end))
		for _, e := range []*torch.Event{begin, middle, end, end} {
			e.Close()
		}
		require.Panics(t, func() { end.Since(begin) })
	}))
	if !torch.HasGraphs() {
		return
	}
	require.NoError(t, do(func(s *torch.Scope) {
		_, restore := gpu.OwnStream()
		defer restore()
		x := s.Randn(torch.NewGenerator(1), torch.Float32, 3).To(gpu)
		_, err := torch.RecordGraph(nil, []*torch.Tensor{x}, func(in []*torch.Tensor) ([]*torch.Tensor, error) {
			gpu.RecordEvent()
			return in, nil
		})
		require.ErrorContains(t, err, "an event of a CUDA graph has no time")
	}))
}
