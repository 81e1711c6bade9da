package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/diffusioninst/go/internal/relay"
)

// noticeAfter is how long a command may take to stop before the user is told how to end it at once.
const noticeAfter = time.Second

// A signalError is the cause of the cancellation of a command that a signal stops.
type signalError struct{ syscall.Signal }

func (s signalError) Error() string {
	switch s.Signal {
	case syscall.SIGTERM:
		return "SIGTERM"
	case syscall.SIGHUP:
		return "SIGHUP"
	}
	return "SIGINT"
}

// status returns the exit status by which shells know a process that a signal ended.
func (s signalError) status() int { return 128 + int(s.Signal) }

// explain returns the last sentence of a command that the signal stopped with an error.
func (s signalError) explain(err error) string {
	said := (*stoppedError)(nil)
	if !errors.As(err, &said) && errors.Is(err, context.Canceled) {
		return fmt.Sprintf("Stopped by %v before anything was finished", s)
	}
	if rest, ok := strings.CutPrefix(err.Error(), "stopped "); ok {
		return fmt.Sprintf("Stopped by %v %s", s, rest)
	}
	return fmt.Sprintf("Stopped by %v: %v", s, err)
}

// withSignals returns a context that the first SIGINT, SIGTERM or SIGHUP cancels, with a
// signalError as its cause. A second signal ends the process at once. Under nohup SIGHUP stays
// ignored.
func withSignals(parent context.Context) (ctx context.Context, release func()) {
	ignoreFileSizeSignal()
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(signals, syscall.SIGHUP)
	}
	go func() {
		first, ok := <-signals
		if !ok {
			return
		}
		by := signalError{first.(syscall.Signal)}
		cancel(by)
		notice := time.AfterFunc(noticeAfter, func() {
			fmt.Fprintf(os.Stderr, "%v: stopping; a second signal ends the program at once, without saving\n", by)
		})
		second, ok := <-signals
		notice.Stop()
		if !ok {
			return
		}
		last := signalError{second.(syscall.Signal)}
		fmt.Fprintf(os.Stderr, "Stopped at once by a second signal, %v\n", last)
		os.Exit(last.status())
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(signals)
	}
}

// A stoppedError is the error of a command that ended before its work was done.
type stoppedError struct {
	text  string // such as "stopped after 6 of 40 pictures"
	cause error
}

func stopped(cause error, format string, args ...any) error {
	return &stoppedError{fmt.Sprintf(format, args...), cause}
}

// Error returns the text alone after a cancellation, whose cause the user knows.
func (s *stoppedError) Error() string {
	if errors.Is(s.cause, context.Canceled) {
		return s.text
	}
	return fmt.Sprintf("%v\n%s", s.cause, s.text)
}

func (s *stoppedError) Unwrap() error { return s.cause }

// await returns what f returns, or the error of ctx as soon as ctx is done. f then goes on
// until the program ends, so it must only read: it is for reading long files and for inputs
// that may block.
func await[T any](ctx context.Context, f func() (T, error)) (T, error) {
	var o struct {
		value T
		err   error
		end   relay.End
	}
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		o.end.Run(func() { o.value, o.err = f() })
	}()
	select {
	case <-done:
		o.end.Pass()
		return o.value, o.err
	case <-ctx.Done():
		return none, ctx.Err()
	}
}
