package processes

import (
	"errors"
	"fmt"
	"time"
)

// The store's own calls wait as long as who keeps it stands still: these give up after a time. A call that was given up goes on in the
// background, and later ones wait behind it, with times of their own.

// errSilent is the cause of a call that was given up.
var errSilent = errors.New("the store does not answer")

func (g *Group) get(limit time.Duration, key string) (value []byte, err error) {
	err = g.ask(limit, func() (err error) {
		value, err = g.control.Get(key)
		return err
	})
	if err != nil {
		return nil, err
	}
	return value, nil
}

func (g *Group) set(limit time.Duration, key string, value []byte) error {
	return g.ask(limit, func() error { return g.control.Set(key, value) })
}

func (g *Group) add(limit time.Duration, key string, n int64) (sum int64, err error) {
	err = g.ask(limit, func() (err error) {
		sum, err = g.control.Add(key, n)
		return err
	})
	if err != nil {
		return 0, err
	}
	return sum, nil
}

// ask calls f, unless it takes too long. After an error what f writes must be left alone.
func (g *Group) ask(limit time.Duration, f func() error) error {
	err := within(limit, f)
	if errors.Is(err, errSilent) {
		g.silent.Store(true)
	}
	return err
}

// within returns f's error, or errSilent if f goes on after a time.
func within(limit time.Duration, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	late := time.NewTimer(limit)
	defer late.Stop()
	select {
	case err := <-done:
		return err
	case <-late.C:
		return fmt.Errorf("%w for %v", errSilent, limit)
	}
}
