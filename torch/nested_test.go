package torch

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

func TestDoInsideDoIsRefused(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // waiting for itself fails
	defer cancel()
	require.False(t, Inside())
	require.NoError(t, Do(ctx, func(*Scope) error {
		require.True(t, Inside())
		require.ErrorIs(t, Do(ctx, func(*Scope) error { return nil }), ErrNested)
		other := make(chan bool)
		go func() { other <- Inside() }()
		require.False(t, <-other, "another goroutine is not inside")
		return nil
	}))
	require.False(t, Inside())
	require.NoError(t, Do(ctx, func(*Scope) error { return nil }))
}

func TestDoInsideTeamIsRefused(t *testing.T) {
	leak.Check(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	team, other := NewTeam(2, 1), NewTeam(1, 1)
	defer team.Close()
	defer other.Close()
	nested := func(int, *Scope) error {
		require.True(t, Inside())
		require.ErrorIs(t, Do(ctx, func(*Scope) error { return nil }), ErrNested)
		for _, of := range []*Team{team, other} {
			require.ErrorIs(t, of.Do(ctx, 1, func(int, *Scope) error { return nil })[0], ErrNested)
		}
		return nil
	}
	require.Equal(t, []error{nil, nil}, team.Do(ctx, 2, nested))
	require.NoError(t, Do(ctx, func(*Scope) error {
		require.Equal(t, []error{nil, nil}, team.Do(ctx, 2, nested), "a team inside Do is what it is for")
		return nil
	}))
}

// Workers of one call may wait for each other, so two calls must not share them out.
func TestTeamServesOneCallAtATime(t *testing.T) {
	leak.Check(t)
	team := NewTeam(2, 1)
	defer team.Close()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				var met sync.WaitGroup
				met.Add(2)
				for _, err := range team.Do(context.Background(), 2, func(int, *Scope) error { met.Done(); met.Wait(); return nil }) {
					if err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
	block, started := make(chan struct{}), make(chan struct{})
	all.Go(func() {
		team.Do(context.Background(), 1, func(int, *Scope) error { close(started); <-block; return nil })
	})
	<-started
	ctx, cancel := context.WithCancel(context.Background())
	all.Go(cancel)
	require.Equal(t, []error{context.Canceled, context.Canceled}, team.Do(ctx, 2, func(int, *Scope) error { return nil }))
	close(block)
	all.Wait()
}

// What ends a team's function inside Do ends the caller of Do, and nobody else.
func TestTeamInsideDoCarriesPanics(t *testing.T) {
	leak.Check(t)
	before, ctx := Live(), context.Background()
	team := NewTeam(2, 1)
	defer team.Close()
	inside := func(f func(s *Scope)) {
		_ = Do(ctx, func(*Scope) error {
			return team.Do(ctx, 2, func(worker int, s *Scope) error {
				s.Zeros(F32(CPU), 2)
				if worker == 1 {
					f(s)
				}
				return nil
			})[1]
		})
	}
	require.PanicsWithValue(t, "lost", func() { inside(func(*Scope) { panic("lost") }) })
	ended := make(chan bool)
	go func() {
		returned := false
		defer func() { ended <- !returned }()
		inside(func(*Scope) { runtime.Goexit() })
		returned = true
	}()
	require.True(t, <-ended, "Goexit ends the caller")
	inside(func(s *Scope) { s.Zeros(F32(CPU), 3) })
	require.Equal(t, before, Live())
}
