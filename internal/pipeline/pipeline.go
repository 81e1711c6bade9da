// Package pipeline overlaps what is done with the items of a sequence: while one is worked on, the one
// before is written and the next is read.
package pipeline

import (
	"context"

	"github.com/diffusioninst/go/internal/relay"
)

// Stages are what Run does with each item, in the order of the items.
type Stages[T any] struct {
	// Read returns the next item; more is false after the last one.
	Read func(ctx context.Context) (item T, more bool)
	// Work is called in Run's goroutine. An error ends the run.
	Work func(ctx context.Context, item T) error
	// Write may be nil. An error ends the run.
	Write func(item T) error
	// Drop, which may be nil, is called with each item that was read and not given to Write.
	Drop func(item T)
}

// held is how many items there are at once: the one that is worked on, and one that is read or written.
const held = 2

// Run passes all items through the stages and returns the error of the first item that has one. A stage
// sees one item at a time. An item is read once the one before the current is written, so that at most one
// is held beside the current. When the run ends early the context of the stages is cancelled, and they are
// waited for; items that have been worked on are still written. It is ctx's error if that ended the run.
// A panic or runtime.Goexit in a stage goes on in the caller.
func Run[T any](ctx context.Context, s Stages[T]) error {
	inner, cancel := context.WithCancel(ctx)
	r := run[T]{Stages: s, ctx: inner, cancel: cancel, slots: make(chan struct{}, held), read: make(chan T), worked: make(chan T), written: make(chan struct{})}
	go r.reader()
	go r.writer()
	err := r.work()
	r.reading.Pass()
	r.writing.Pass()
	switch {
	case r.failed != nil:
		return r.failed // an earlier item's
	case err != nil:
		return err
	case !r.ended:
		return ctx.Err()
	}
	return nil
}

type run[T any] struct {
	Stages[T]
	ctx              context.Context
	cancel           func()
	slots            chan struct{} // taken by the items that there are
	read, worked     chan T
	written          chan struct{} // closed when nothing more is written
	reading, writing relay.End
	ended            bool  // there is no further item
	failed           error // of Write
}

func (r *run[T]) reader() {
	defer close(r.read)
	r.reading.Run(func() {
		for {
			select {
			case <-r.ctx.Done():
				return
			case r.slots <- struct{}{}:
			}
			item, more := r.Read(r.ctx)
			if !more {
				r.ended = true
				return
			}
			select {
			case <-r.ctx.Done():
				r.drop(item)
				return
			case r.read <- item:
			}
		}
	})
}

// work is the caller's part. It returns when the other stages have ended.
func (r *run[T]) work() error {
	defer func() {
		close(r.worked)
		<-r.written
		r.cancel()
		for item := range r.read {
			r.drop(item)
		}
	}()
	for item := range r.read {
		if err := r.Work(r.ctx, item); err != nil {
			r.cancel()
			r.drop(item)
			return err
		}
		select {
		case r.worked <- item:
		case <-r.written:
			r.drop(item)
			return nil
		}
	}
	return nil
}

func (r *run[T]) writer() {
	defer close(r.written)
	defer r.cancel()
	r.writing.Run(func() {
		for item := range r.worked {
			if r.Write != nil {
				r.failed = r.Write(item)
			}
			if r.failed != nil {
				return
			}
			<-r.slots
		}
	})
}

func (r *run[T]) drop(item T) {
	if r.Drop != nil {
		r.Drop(item)
	}
}
