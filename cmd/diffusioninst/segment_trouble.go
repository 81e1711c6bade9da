//go:build cgo

package main

import (
	"context"
	"errors"
	"sync"
	"syscall"
	"time"

	"github.com/diffusioninst/go/torch"
)

// A passingError is that of a server, a store, a disk or a device, not of a picture: another time it may go well.
type passingError struct {
	error
	soon bool // in a few seconds
}

func (e *passingError) Unwrap() error { return e.error }

// passing reports whether an error says nothing about the picture.
func passing(err error) bool {
	if _, ok := errors.AsType[*passingError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*torch.Error](err); ok || errors.Is(err, torch.ErrOutOfMemory) {
		return true
	}
	for _, cause := range []error{syscall.EIO, syscall.ESTALE, syscall.ENOTCONN, syscall.ETIMEDOUT, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM} {
		if errors.Is(err, cause) {
			return true
		}
	}
	return false
}

// manyTroubles is after how many pictures in a row that fail for what is passing a run stops: all others would, too.
const manyTroubles = 10

// firstPause is how long the first pause before another try is; each further one is twice as long. Tests change it.
var firstPause = time.Second

// insist calls f up to three times while it fails for what may pass soon.
func insist(ctx context.Context, f func() error) error {
	pause := firstPause
	for try := 1; ; try++ {
		err := f()
		if e, ok := errors.AsType[*passingError](err); !ok || !e.soon || try == 3 {
			return err
		}
		select {
		case <-time.After(pause):
			pause *= 2
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// lasting returns a function that returns what f has made, and calls f again after an error.
func lasting[T any](f func() (T, error)) func() (T, error) {
	var mutex sync.Mutex
	var made bool
	var value T
	return func() (T, error) {
		mutex.Lock()
		defer mutex.Unlock()
		if made {
			return value, nil
		}
		v, err := f()
		if err == nil {
			value, made = v, true
		}
		return v, err
	}
}
