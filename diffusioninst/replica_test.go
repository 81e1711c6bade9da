package diffusioninst

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// Each replica finds the same, and calls go to the one that has the fewest.
func TestReplicas(t *testing.T) {
	before, ctx, config := torch.Live(), context.Background(), small()
	m, err := LoadSource(ctx, nn.FromSeed(1), LoadOptions{Config: &config, Replicas: []torch.Device{torch.CPU, torch.CPU}})
	require.NoError(t, err)
	require.Equal(t, []torch.Device{torch.CPU, torch.CPU, torch.CPU}, m.Devices())
	single, err := New(ctx, config, 1, torch.CPU)
	require.NoError(t, err)
	want, err := single.Segment(ctx, pattern(90, 70), all)
	require.NoError(t, err)
	require.NoError(t, single.Close())

	var leaves []func()
	seen := map[*Model]int{}
	for range 6 {
		r, leave, err := m.take(nil)
		require.NoError(t, err)
		leaves = append(leaves, leave)
		seen[r]++
	}
	require.Equal(t, map[*Model]int{m: 2, m.others[0]: 2, m.others[1]: 2}, seen)
	leaves[1]()
	r, leave, err := m.take(nil)
	require.NoError(t, err)
	require.Same(t, m.others[0], r, "it has a call fewer")
	leave()
	for _, leave := range append(leaves[:1], leaves[2:]...) {
		leave()
	}

	var all16 sync.WaitGroup
	results := make([]*Result, 16)
	for i := range results {
		all16.Go(func() { results[i], _ = m.Segment(ctx, pattern(90, 70), all) })
	}
	all16.Wait()
	for _, got := range results {
		require.Equal(t, want, got)
	}
	for _, r := range m.all() {
		require.Zero(t, r.calls)
		require.Positive(t, r.turn)
	}
	require.NoError(t, m.Close())
	require.Equal(t, before, torch.Live(), "tensors left behind")
	_, err = m.Segment(ctx, pattern(90, 70), all)
	require.ErrorIs(t, err, ErrClosed)

	_, err = LoadSource(ctx, nn.FromSeed(1), LoadOptions{Config: &config, Replicas: []torch.Device{torch.CUDA(0)}})
	var refused *ConfigError
	require.ErrorAs(t, err, &refused)
	require.ErrorContains(t, err, "replicas on cpu and cuda:0")
}
