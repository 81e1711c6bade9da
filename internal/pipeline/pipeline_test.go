package pipeline

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// numbers reads 1 to n, and writes down what happens in the order in which it does.
type numbers struct {
	sync.Mutex
	n, next      int
	events       []string
	begun, ended atomic.Int64
	most         int64 // items at once
}

func (s *numbers) note(format string, args ...any) {
	s.Lock()
	defer s.Unlock()
	s.events = append(s.events, fmt.Sprintf(format, args...))
}

func (s *numbers) stages() Stages[int] {
	return Stages[int]{
		Read: func(context.Context) (int, bool) {
			s.next++
			if s.next > s.n {
				return 0, false
			}
			s.most = max(s.most, s.begun.Add(1)-s.ended.Load())
			return s.next, true
		},
		Work:  func(_ context.Context, i int) error { s.note("work %d", i); return nil },
		Write: func(i int) error { s.note("write %d", i); s.ended.Add(1); return nil },
		Drop:  func(i int) { s.note("drop %d", i); s.ended.Add(1) },
	}
}

func TestRunKeepsTheOrder(t *testing.T) {
	for _, n := range []int{0, 1, 2, 100} {
		s := &numbers{n: n}
		stages := s.stages()
		var worked, written []int
		stages.Work = func(_ context.Context, i int) error { worked = append(worked, i); return nil }
		stages.Write = func(i int) error { written = append(written, i); s.ended.Add(1); return nil }
		require.NoError(t, Run(context.Background(), stages))
		require.Len(t, worked, n)
		require.Equal(t, worked, written)
		require.LessOrEqual(t, s.most, int64(2))
		for i := range worked {
			require.Equal(t, i+1, worked[i])
		}
	}
}

// While an item is worked on, the one before is written and the next is read, and none after that.
func TestRunOverlaps(t *testing.T) {
	s := &numbers{n: 5}
	stages := s.stages()
	read, written := make(chan int, 5), make(chan int, 5)
	inner := stages.Read
	stages.Read = func(ctx context.Context) (int, bool) {
		i, more := inner(ctx)
		if more {
			read <- i
		}
		return i, more
	}
	write := stages.Write
	stages.Write = func(i int) error { err := write(i); written <- i; return err }
	stages.Work = func(_ context.Context, i int) error {
		if i > 1 {
			require.Equal(t, i-1, <-written)
		}
		if i == 1 {
			require.Equal(t, 1, <-read)
		}
		if i < 5 {
			require.Equal(t, i+1, <-read)
		}
		require.Empty(t, read, "one ahead")
		return nil
	}
	require.NoError(t, Run(context.Background(), stages))
	require.LessOrEqual(t, s.most, int64(2))
}

func TestRunEndsEarly(t *testing.T) {
	broken, later := errors.New("broken"), errors.New("later")
	t.Run("Work", func(t *testing.T) {
		s := &numbers{n: 9}
		stages := s.stages()
		stages.Work = func(_ context.Context, i int) error {
			if i == 3 {
				return broken
			}
			return nil
		}
		require.Equal(t, broken, Run(context.Background(), stages))
		require.Subset(t, s.events, []string{"write 1", "write 2", "drop 3"})
		require.Equal(t, s.begun.Load(), s.ended.Load(), "each item is written or dropped")
	})
	t.Run("Write", func(t *testing.T) {
		s := &numbers{n: 9}
		stages := s.stages()
		stages.Write = func(i int) error {
			s.note("write %d", i)
			s.ended.Add(1)
			if i == 2 {
				return broken
			}
			return nil
		}
		stages.Work = func(ctx context.Context, i int) error {
			if i < 3 {
				return nil
			}
			<-ctx.Done() // which a failed write ends
			return later
		}
		require.Equal(t, broken, Run(context.Background(), stages), "the earlier item's")
		require.Equal(t, s.begun.Load(), s.ended.Load())
	})
	t.Run("Context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		s := &numbers{n: 9}
		stages := s.stages()
		stages.Work = func(_ context.Context, i int) error {
			if i == 2 {
				cancel()
			}
			return nil
		}
		require.ErrorIs(t, Run(ctx, stages), context.Canceled)
		require.Subset(t, s.events, []string{"write 1", "write 2"}, "what is finished is written")
		require.Equal(t, s.begun.Load(), s.ended.Load())
	})
	t.Run("BlockedRead", func(t *testing.T) {
		s := &numbers{n: 9}
		stages := s.stages()
		stages.Read = func(ctx context.Context) (int, bool) {
			if s.next == 1 {
				<-ctx.Done()
			}
			s.next++
			return s.next, true
		}
		stages.Write = func(int) error { return broken }
		require.Equal(t, broken, Run(context.Background(), stages))
	})
}

func TestRunPassesOnHowAStageEnds(t *testing.T) {
	for name, set := range map[string]func(*Stages[int], func()){
		"Read": func(s *Stages[int], f func()) {
			read := s.Read
			s.Read = func(ctx context.Context) (int, bool) {
				i, more := read(ctx)
				if i == 3 {
					f()
				}
				return i, more
			}
		},
		"Work": func(s *Stages[int], f func()) {
			s.Work = func(_ context.Context, i int) error {
				if i == 3 {
					f()
				}
				return nil
			}
		},
		"Write": func(s *Stages[int], f func()) {
			s.Write = func(i int) error {
				if i == 3 {
					f()
				}
				return nil
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			stages := (&numbers{n: 9}).stages()
			set(&stages, func() { panic("ended") })
			require.PanicsWithValue(t, "ended", func() { _ = Run(context.Background(), stages) })

			stages = (&numbers{n: 9}).stages()
			set(&stages, runtime.Goexit)
			exited, done := true, make(chan struct{})
			go func() {
				defer close(done)
				_ = Run(context.Background(), stages)
				exited = false
			}()
			<-done
			require.True(t, exited)
		})
	}
}
