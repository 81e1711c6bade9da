package processes

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// pair connects two groups of this process at a store.
func pair(t *testing.T, timeout time.Duration) [2]*Group {
	t.Helper()
	if !Available() {
		t.Skip("built without gloo")
	}
	store, port, err := OpenStore("127.0.0.1", 0, true, timeout)
	require.NoError(t, err)
	t.Cleanup(store.Close)
	var groups [2]*Group
	errs := make(chan error)
	for rank := range groups {
		go func() {
			s, _, err := OpenStore("127.0.0.1", port, false, timeout)
			if err == nil {
				groups[rank], err = OpenGroup(s, "pair", "127.0.0.1", rank, 2, timeout)
			}
			errs <- err
		}()
	}
	require.NoError(t, errors.Join(<-errs, <-errs))
	return groups
}

// A work that ends while a wait gives up has not failed.
func TestWaitGivesUpAtTheEnd(t *testing.T) {
	groups := pair(t, time.Minute)
	finish := func(rank int, slice time.Duration) error {
		all := make([]byte, 2)
		w, err := groups[rank].AllGather([]byte{byte(rank)}, all)
		if err != nil {
			return err
		}
		for over := false; !over; {
			if over, err = w.Wait(slice); err != nil {
				return err
			}
		}
		w.Free()
		return nil
	}
	errs := make(chan error)
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		go func() { errs <- finish(0, time.Millisecond) }()
		time.Sleep(900*time.Microsecond + time.Duration(r.IntN(200))*time.Microsecond)
		require.NoError(t, finish(1, time.Minute))
		require.NoError(t, <-errs)
	}
	for _, g := range groups {
		g.Close()
	}
}

// Data may lie beside Go pointers.
func TestDataBesidePointers(t *testing.T) {
	groups := pair(t, time.Minute)
	type number struct {
		name *string
		data [8]byte
	}
	numbers := [2]*number{{new(string), [8]byte{3}}, {new(string), [8]byte{4}}}
	var works [2]*Work
	for rank, g := range groups {
		w, err := g.Sum(numbers[rank].data[:], 8, 4)
		require.NoError(t, err)
		works[rank] = w
	}
	for rank, w := range works {
		over, err := w.Wait(time.Minute)
		require.NoError(t, err)
		require.True(t, over)
		w.Free()
		require.Equal(t, [8]byte{7}, numbers[rank].data)
		require.Empty(t, *numbers[rank].name)
	}
	for _, g := range groups {
		g.Close()
	}
}
