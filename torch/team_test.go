package torch

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/libtorch"
)

// All workers run at once, with the threads that they were given, beside Do's.
func TestTeam(t *testing.T) {
	before := Live()
	own := defaultThreads() + 1
	team := NewTeam(3, own)
	defer team.Close()
	require.NoError(t, Do(context.Background(), func(s *Scope) error {
		threads := libtorch.Threads()
		var met sync.WaitGroup
		met.Add(3)
		sums := make([]float64, 3)
		for _, err := range team.Do(context.Background(), 3, func(i int, s *Scope) error {
			met.Done()
			met.Wait() // nobody ends before all have begun
			require.False(t, libtorch.GradEnabled())
			require.Equal(t, own, libtorch.Threads())
			ones := s.Full(1, F32(CPU), 2)
			BatchNormTraining{Weight: ones, Bias: ones, Eps: 1}.Forward(s.Zeros(F32(CPU), 2, 2, 8, 8))
			require.Equal(t, own, libtorch.Threads(), "a kernel of this module keeps them")
			sums[i] = s.Full(float64(i), F32(CPU), 10).Sum().Item()
			return nil
		}) {
			require.NoError(t, err)
		}
		require.Equal(t, []float64{0, 10, 20}, sums)
		require.Equal(t, threads, libtorch.Threads(), "this worker keeps its own")
		return nil
	}))
	require.Equal(t, before, Live())
}

// A team that is closed says so, also if it is closed while another goroutine uses it.
func TestTeamCloses(t *testing.T) {
	team := NewTeam(2, 1)
	var using sync.WaitGroup
	for range 4 {
		using.Go(func() {
			for {
				for _, err := range team.Do(context.Background(), 2, func(int, *Scope) error { return nil }) {
					if err != nil {
						require.ErrorContains(t, err, "the Team is closed")
						return
					}
				}
			}
		})
	}
	team.Close()
	team.Close()
	using.Wait()
	(&Team{}).Close()
}

func TestTeamTellsEachWorkersError(t *testing.T) {
	team := NewTeam(3, 1)
	defer team.Close()
	bad := errors.New("bad")
	errs := team.Do(context.Background(), 3, func(i int, s *Scope) error {
		switch i {
		case 0:
			return bad
		case 1:
			s.Zeros(F32(CPU), 2).Matmul(s.Zeros(F32(CPU), 3))
		}
		return nil
	})
	require.ErrorIs(t, errs[0], bad)
	var e *Error
	require.ErrorAs(t, errs[1], &e)
	require.Equal(t, "matmul", e.Op)
	require.NoError(t, errs[2])
	require.Len(t, team.Do(context.Background(), 2, func(int, *Scope) error { return nil }), 2, "fewer than all")

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, err := range team.Do(ctx, 3, func(int, *Scope) error { panic("not to be called") }) {
		require.ErrorIs(t, err, context.Canceled)
	}
	require.PanicsWithValue(t, "lost", func() {
		team.Do(context.Background(), 3, func(i int, s *Scope) error {
			if i == 1 {
				panic("lost")
			}
			return nil
		})
	})
}
