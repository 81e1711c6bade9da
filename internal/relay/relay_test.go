package relay

import (
	"errors"
	"os"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/proctest"
)

// elsewhere runs f in a goroutine of its own and passes on how it ends.
func elsewhere(f func()) {
	var end End
	done := make(chan struct{})
	go func() {
		defer close(done)
		end.Run(f)
	}()
	<-done
	end.Pass()
}

// exits reports whether f ends its goroutine.
func exits(f func()) bool {
	var end End
	done := make(chan struct{})
	go func() {
		defer close(done)
		end.Run(f)
	}()
	<-done
	return end.Exited()
}

func TestPass(t *testing.T) {
	returned := false
	elsewhere(func() { returned = true })
	require.True(t, returned)
	boom := errors.New("boom")
	require.PanicsWithValue(t, boom, func() { elsewhere(func() { panic(boom) }) })
	require.Panics(t, func() { elsewhere(func() { panic([]int{1}) }) }, "a value that cannot be compared")
	require.True(t, exits(func() { elsewhere(runtime.Goexit) }))
	require.False(t, exits(func() {}))
	require.NotPanics(t, func() {
		elsewhere(func() {
			defer func() { _ = recover() }()
			panic("recovered by the function itself")
		})
	})
	func() {
		defer func() { require.IsType(t, new(runtime.PanicNilError), recover()) }()
		elsewhere(func() { panic(nil) })
	}()
}

func TestEach(t *testing.T) {
	for _, workers := range []int{1, 3, 100} {
		var got [20]atomic.Int64
		Each(workers, len(got), func(i int) { got[i].Add(1) })
		for i := range got {
			require.EqualValues(t, 1, got[i].Load())
		}
		Each(workers, 0, func(int) { t.Error("called") })
	}
	calls := 0
	require.PanicsWithValue(t, 5, func() {
		Each(1, 100, func(i int) {
			calls++
			if i == 5 {
				panic(i)
			}
		})
	})
	require.Equal(t, 6, calls, "none is begun after a panic")
	require.True(t, exits(func() { Each(4, 100, func(int) { runtime.Goexit() }) }))
}

// Whoever reads the report of a panic sees where it came from, through two goroutines.
func TestOriginalStack(t *testing.T) {
	const child = "DIFFUSIONINST_TEST_PANIC"
	if os.Getenv(child) != "" {
		var outer, inner End
		done := make(chan struct{})
		go func() {
			defer close(done)
			outer.Run(func() {
				ended := make(chan struct{})
				go func() { defer close(ended); inner.Run(culprit) }()
				<-ended
				inner.PassThrough(&outer)
			})
		}()
		<-done
		outer.Pass()
	}
	cmd := proctest.Command(t, os.Args[0], "-test.run", "^TestOriginalStack$")
	cmd.Env = append(os.Environ(), child+"=1")
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "relay.culprit")
	require.Contains(t, string(out), "the culprit's own words")
}

func culprit() { panic("the culprit's own words") }
