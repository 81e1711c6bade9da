package torch

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Tensors of all sizes come and go in any order: none may lie in another's memory,
// what is held stays within the promised bound, and all of it goes back.
func TestCacheMemory(t *testing.T) {
	before := CachedMemory()
	release := CacheMemory()
	require.NoError(t, Do(context.Background(), func(s *Scope) error {
		type entry struct {
			tensor *Tensor
			value  float64
		}
		var alive []entry
		r := rand.New(rand.NewPCG(1, 2))
		var live, peak int64
		for i := range 2000 {
			if len(alive) > 0 && (live > 200<<20 || r.IntN(2) == 0) {
				at := r.IntN(len(alive))
				e := alive[at]
				require.Equal(t, e.value, e.tensor.Amin([]int{0}, false).Item())
				require.Equal(t, e.value, e.tensor.Amax([]int{0}, false).Item())
				live -= int64(e.tensor.Elements()) * 4
				e.tensor.Close()
				alive = append(alive[:at], alive[at+1:]...)
				continue
			}
			n := 1 << r.IntN(24) * (1 + r.IntN(3))
			alive = append(alive, entry{s.Full(float64(i), F32(CPU), n), float64(i)})
			live += int64(n) * 4
			peak = max(peak, live)
		}
		require.Greater(t, CachedMemory(), before)
		// Half of it may be lost between tensors of so many sizes, and a segment is not full.
		require.Less(t, CachedMemory(), 2*peak+64<<20)
		return nil
	}))
	require.Greater(t, CachedMemory(), before, "nothing was kept")
	release()
	release() // once is enough
	require.Equal(t, before, CachedMemory(), "not all memory went back")
}

// A tensor may outlive the cache that it came from.
func TestCacheMemoryReleasedBeforeItsTensors(t *testing.T) {
	before := CachedMemory()
	release := CacheMemory()
	var kept *Tensor
	require.NoError(t, Do(context.Background(), func(s *Scope) error {
		kept = s.Full(3, F32(CPU), 1<<20).Keep()
		return nil
	}))
	release()
	require.Greater(t, CachedMemory(), before)
	require.NoError(t, Do(context.Background(), func(s *Scope) error {
		require.Equal(t, 3.0, s.Adopt(kept).Mean().Item())
		return nil
	}))
	kept.Close()
	require.Equal(t, before, CachedMemory())
}

// What a request leaves behind serves the next one, and goes back when none comes.
func TestReuseMemory(t *testing.T) {
	before := CachedMemory()
	work := func() {
		release := ReuseMemory()
		defer release()
		require.NoError(t, Do(context.Background(), func(s *Scope) error {
			s.Full(3, F32(CPU), 1<<20)
			return nil
		}))
	}
	outer := ReuseMemory()
	work()
	held := CachedMemory()
	require.Greater(t, held, before, "nothing was kept")
	outer()
	outer() // once is enough
	require.Equal(t, held, CachedMemory(), "given back at once")
	work()
	require.Equal(t, held, CachedMemory(), "not used again")
	require.Eventually(t, func() bool { return CachedMemory() == before }, time.Minute, 50*time.Millisecond, "not given back")

	// What is made while nothing uses the cache, such as weights, does not lie in it.
	work()
	require.NoError(t, Do(context.Background(), func(s *Scope) error {
		kept := s.Full(3, F32(CPU), 1<<20).Keep()
		defer kept.Close()
		require.Eventually(t, func() bool { return CachedMemory() == before }, time.Minute, 50*time.Millisecond)
		return nil
	}))
}
