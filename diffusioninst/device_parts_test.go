package diffusioninst

import (
	"context"
	"image"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/fakecuda"
	"github.com/diffusioninst/go/torch"
)

// A GPU's clock times the parts of a pass without waits in between, with graphs and without. On the fake GPU TestGraphs runs
// this.
func TestDeviceParts(t *testing.T) {
	if torch.CUDADevices() == 0 {
		t.Skip("needs a GPU")
	}
	onGPU := func(t *testing.T, m *Model, rounds int) {
		img := pattern(100, 80)
		var took map[string]time.Duration
		var names []string
		timed := Options{Steps: 3, Score: -1, Limit: 2, OnDevicePart: func(part string, d time.Duration) {
			took[part], names = d, append(names, part)
		}}
		plain := timed
		plain.OnDevicePart = nil
		segment := func(o Options) []*Result {
			took, names = map[string]time.Duration{}, nil
			out, err := m.SegmentBatch(context.Background(), []image.Image{img, img}, o)
			require.NoError(t, err)
			return out
		}
		for range rounds {
			want := segment(plain)
			require.Empty(t, names)
			start := time.Now()
			got := segment(timed)
			whole := time.Since(start)
			sameResults(t, want, got)
			require.Equal(t, []string{"input", "backbone", "mask branch", "sampling", "decoder", "masks"}, names)
			sum := time.Duration(0)
			for part, d := range took {
				require.GreaterOrEqual(t, d, time.Duration(0), part)
				sum += d
			}
			require.Positive(t, took["backbone"])
			require.Positive(t, took["decoder"])
			require.LessOrEqual(t, sum, whole+time.Millisecond, "clocks differ")
		}
		without := torch.Count(func() { segment(plain) })
		with := torch.Count(func() { segment(timed) })
		require.Equal(t, without.Waits, with.Waits)
		require.Equal(t, without.Started+without.Launches, with.Started+with.Launches)
		if !fakecuda.Inside() {
			return
		}
		path := os.Getenv("FAKE_CUDA_LOG")
		before, err := os.ReadFile(path)
		require.NoError(t, err)
		segment(timed)
		log, err := os.ReadFile(path)
		require.NoError(t, err)
		streams, events, waited := map[string]bool{}, 0, false
		for _, line := range strings.Split(strings.TrimSpace(string(log[len(before):])), "\n") {
			if line == "wait" {
				waited = true
				continue
			}
			require.False(t, waited, "%s after the host has waited for an event", line)
			if strings.HasPrefix(line, "event ") {
				events++
			}
			_, stream, found := strings.Cut(line, "stream ")
			require.True(t, found, line)
			streams[stream] = true
		}
		require.True(t, waited)
		require.Equal(t, 3+1+2*3+1+1, events, "parts before the loop, around it, two for each step, masks, and the end")
		require.Len(t, streams, 1, "events and kernels are in one stream")
	}
	t.Run("operator by operator", func(t *testing.T) { onGPU(t, loadGraphs(t, small(), false), 1) })
	t.Run("graphs", func(t *testing.T) {
		if !torch.HasGraphs() {
			t.Skip("this LibTorch has no graphs")
		}
		onGPU(t, loadGraphs(t, small(), true), 3)
	})
}
