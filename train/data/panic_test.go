package data

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/leak"
)

// ending is a data set of which one sample ends the goroutine that reads it.
type ending struct {
	numbered
	at  int
	end func()
}

func (e ending) Sample(ctx context.Context, i int) (Sample, error) {
	if i == e.at {
		e.end()
	}
	return e.numbered.Sample(ctx, i)
}

// endingAugmentation ends the goroutine that augments.
type endingAugmentation func()

func (e endingAugmentation) Apply(s Sample, _ *rand.Rand) (Sample, error) {
	e()
	return s, nil
}

// outcome returns what f panics with, and whether it ends its goroutine.
func outcome(f func()) (value any, exited bool) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		returned := false
		defer func() {
			value = recover()
			exited = value == nil && !returned
		}()
		f()
		returned = true
	}()
	<-done
	return value, exited
}

func TestPanicsGoOnInNext(t *testing.T) {
	lost := errors.New("lost")
	for name, build := range map[string]func(end func()) (Dataset, LoaderOptions){
		"data set": func(end func()) (Dataset, LoaderOptions) {
			return ending{numbered{count: 11}, 5, end}, LoaderOptions{Batch: 2, InOrder: true}
		},
		"data set, errors replaced": func(end func()) (Dataset, LoaderOptions) {
			return ending{numbered{count: 11}, 5, end}, LoaderOptions{Batch: 2, InOrder: true, OnError: func(error) error { return nil }}
		},
		"augmentation": func(end func()) (Dataset, LoaderOptions) {
			return numbered{count: 11}, LoaderOptions{Batch: 2, Augment: endingAugmentation(end)}
		},
	} {
		for _, workers := range []int{1, 3} {
			t.Run(name, func(t *testing.T) {
				leak.Check(t)
				until := func(end func()) (value any, exited bool) {
					d, o := build(end)
					o.Workers = workers
					l := newLoader(t, d, o)
					defer l.Close()
					next := func() {
						for range 10 {
							_, _ = l.Next(context.Background())
						}
					}
					value, exited = outcome(next)
					again, exitedAgain := outcome(next)
					require.Equal(t, []any{value, exited}, []any{again, exitedAgain}, "the same batch again")
					require.NoError(t, l.SeekTo(0), "the loader lives on")
					if name != "augmentation" {
						take(t, l, 2)
					}
					return value, exited
				}
				value, exited := until(func() { panic(lost) })
				require.Same(t, lost, value)
				require.False(t, exited)
				value, exited = until(runtime.Goexit)
				require.Nil(t, value)
				require.True(t, exited)
			})
		}
	}
}
