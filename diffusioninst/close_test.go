package diffusioninst

import (
	"context"
	"errors"
	"image"
	"image/color"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/leak"
	"github.com/diffusioninst/go/sampler"
	"github.com/diffusioninst/go/torch"
)

// A call of several passes through the network that is running when Close begins is finished.
// A call that begins after Close is refused, although Close still waits.
func TestCloseWaitsForCalls(t *testing.T) {
	leak.Check(t)
	before, ctx := torch.Live(), context.Background()
	c := tiny()
	c.Input = Input{Scale: 1}
	images := []image.Image{pattern(900, 700), pattern(400, 900)}
	for name, o := range map[string]Options{
		"tiles":   {Score: -1, Steps: 2, Tile: 256},
		"scales":  {Score: -1, Steps: 2, Augment: Augment{Scales: []int{32, 64}, Flip: true}},
		"a batch": {Score: -1, Steps: 2},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := New(ctx, c, 1, torch.CPU)
			require.NoError(t, err)
			want, err := m.SegmentBatch(ctx, images, o)
			require.NoError(t, err)
			running, goOn := make(chan struct{}), make(chan struct{})
			once := sync.OnceFunc(func() { close(running); <-goOn })
			o.Sampling = &sampler.Config{Sampler: interrupted{once}}
			var got []*Result
			var all sync.WaitGroup
			all.Go(func() { got, err = m.SegmentBatch(ctx, images, o) })
			<-running
			closed := make(chan error)
			for range 2 {
				go func() { closed <- m.Close() }()
			}
			requireCloses(t, m)
			select {
			case <-closed:
				t.Error("Close did not wait")
			default:
			}
			close(goOn)
			all.Wait()
			require.NoError(t, err)
			for i := range want {
				require.True(t, sameResult(want[i], got[i]))
			}
			require.NoError(t, <-closed)
			require.NoError(t, <-closed)
			require.Equal(t, before, torch.Live())
		})
	}
}

// requireCloses waits until a close has begun and calls are refused.
func requireCloses(t *testing.T, m *Model) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // the calls before the close end at once
	require.Eventually(t, func() bool {
		_, err := m.Segment(ctx, pattern(40, 40), all)
		return errors.Is(err, ErrClosed)
	}, time.Minute, time.Millisecond)
	require.Zero(t, m.Parameters())
}

// Under load Close is bounded by the calls that run when it begins, however many want to follow.
func TestCloseUnderLoad(t *testing.T) {
	leak.Check(t)
	before, ctx := torch.Live(), context.Background()
	m, err := New(ctx, tiny(), 1, torch.CPU)
	require.NoError(t, err)
	var all sync.WaitGroup
	begun := make(chan struct{}, soakGoroutines)
	for range soakGoroutines {
		all.Go(func() {
			for i := 0; ; i++ {
				_, err := m.Segment(ctx, pattern(32, 32), Options{})
				if errors.Is(err, ErrClosed) {
					return
				}
				if err != nil {
					t.Error(err)
				}
				if i == 0 {
					begun <- struct{}{}
				}
			}
		})
	}
	for range soakGoroutines {
		<-begun
	}
	require.NoError(t, m.Close())
	require.Equal(t, before, torch.Live(), "nothing runs after Close")
	all.Wait()
}

// A call from within a call is refused where it would wait for itself.
func TestCallsWithinCalls(t *testing.T) {
	leak.Check(t)
	m := smallModel(t)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute) // waiting for itself fails
	defer cancel()
	nested := func() {
		_, err := m.Segment(ctx, pattern(40, 40), all)
		require.ErrorIs(t, err, torch.ErrNested)
		require.ErrorContains(t, err, "diffusioninst: Segment called by")
		_, err = New(ctx, small(), 1, torch.CPU)
		require.ErrorIs(t, err, torch.ErrNested)
		require.ErrorIs(t, torch.Do(ctx, func(*torch.Scope) error { return nil }), torch.ErrNested)
		require.ErrorContains(t, m.Close(), "Close from a sampler")
		require.Positive(t, m.Parameters())
	}
	for name, o := range map[string]Options{
		"sampler": {Steps: 2, Sampling: &sampler.Config{Sampler: interrupted{nested}}},
		"OnStep":  {OnStep: func(*StepResult) { nested() }},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := m.Segment(ctx, pattern(40, 40), o)
			require.NoError(t, err, "the call itself goes on")
		})
	}
	t.Run("picture", func(t *testing.T) {
		inner := sync.OnceFunc(func() {
			_, err := m.Segment(ctx, pattern(40, 40), all)
			require.NoError(t, err)
		})
		_, err := m.Segment(ctx, watched{pattern(50, 40), inner}, all)
		require.NoError(t, err)
	})
}

// A picture that uses the model must not wait for ever while a Close waits for its call.
func TestPictureUsesAClosingModel(t *testing.T) {
	leak.Check(t)
	m, err := New(context.Background(), tiny(), 1, torch.CPU)
	require.NoError(t, err)
	closed := make(chan error, 1)
	inner := sync.OnceFunc(func() {
		go func() { closed <- m.Close() }()
		requireCloses(t, m)
	})
	_, err = m.Segment(context.Background(), watched{pattern(50, 40), inner}, all)
	require.NoError(t, err, "the call that began is finished")
	require.NoError(t, <-closed)
}

// watched is a picture that does something when it is read.
type watched struct {
	image.Image
	read func()
}

func (w watched) At(x, y int) color.Color {
	w.read()
	return w.Image.At(x, y)
}
