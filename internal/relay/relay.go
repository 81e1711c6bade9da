// Package relay passes on what ends a function early in another goroutine, a panic or
// runtime.Goexit, so that it ends the goroutine that waits for the function, and only that.
package relay

import (
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// An End is how a function ended. The zero End is that of a function that returned.
type End struct {
	value  any
	stack  []byte // of the panic; nil without one
	inner  []byte // the stack of a panic that PassThrough has brought here
	exited bool
}

// Run calls f and records how it ends. It returns unless f calls runtime.Goexit: then only
// the deferred functions of the goroutine follow.
func (e *End) Run(f func()) {
	returned := false
	defer func() {
		if returned {
			return
		}
		if value := recover(); value != nil {
			e.value, e.stack = value, append(debug.Stack(), e.inner...)
		} else {
			e.exited = true
		}
	}()
	f()
	returned = true
}

// Early reports whether the function has ended without returning.
func (e *End) Early() bool { return e.exited || e.stack != nil }

// Exited reports whether the function has ended by runtime.Goexit.
func (e *End) Exited() bool { return e.exited }

// Value returns what the function panicked with; nil if it did not.
func (e *End) Value() any { return e.value }

// Pass ends the caller as the function ended: it panics with the same value, ends the
// goroutine, or returns. If nobody recovers from the panic, Go prints the stack of the
// original one, too.
func (e *End) Pass() {
	switch {
	case e.exited:
		runtime.Goexit()
	case e.stack != nil:
		defer panic(e.value) // replaces the next one for whoever recovers, but both are printed
		panic(origin(e.stack))
	}
}

// PassThrough is Pass in a function whose own end outer records. It keeps the original stack.
func (e *End) PassThrough(outer *End) {
	if e.stack != nil {
		outer.inner = append([]byte("\npassed on from:\n"), e.stack...)
	}
	e.Pass()
}

// origin is the stack of a panic in another goroutine.
type origin []byte

func (o origin) Error() string { return "a panic in another goroutine, passed on:\n" + string(o) }

// Each calls f(0), …, f(n-1) from so many workers, each in a goroutine of its own, and waits
// for them. Where one of the calls panics or ends its goroutine, no other is begun, and the
// caller ends in the same way.
func Each(workers, n int, f func(i int)) {
	ends := make([]End, min(workers, n))
	var begun atomic.Int64
	var broken atomic.Bool
	var all sync.WaitGroup
	for w := range ends {
		end := &ends[w]
		all.Go(func() {
			defer func() {
				if end.Early() {
					broken.Store(true)
				}
			}()
			end.Run(func() {
				for !broken.Load() {
					i := int(begun.Add(1)) - 1
					if i >= n {
						return
					}
					f(i)
				}
			})
		})
	}
	all.Wait()
	for i := range ends {
		ends[i].Pass()
	}
}
