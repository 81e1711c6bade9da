package processes

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A LostError says that processes do not answer any more, or that one has failed.
type LostError struct {
	Rank  int    // of this process
	Ranks []int  // that are lost; empty if all answer
	Store string // where the store is
	Op    string // what was being done
	Err   error  // how it was noticed
}

func (e *LostError) Error() string {
	if len(e.Ranks) == 0 {
		return fmt.Sprintf("processes: rank %d: %s: %v", e.Rank, e.Op, e.Err)
	}
	return fmt.Sprintf("processes: rank %d: %s: %s lost (store at %s): %v", e.Rank, e.Op, ranks(e.Ranks, "is", "are"), e.Store, e.Err)
}

// Unwrap returns how it was noticed.
func (e *LostError) Unwrap() error { return e.Err }

// patience is how long the others have to show that they live: their watchers look every half slice.
const patience = 3 * time.Second

// mark is the value of keys that only have to be there.
var mark = []byte{1}

// watch looks whether another process has failed, and then shows that this one lives, whatever else
// it does at the moment.
func (g *Group) watch() {
	defer close(g.stopped)
	tick := time.NewTicker(slice / 2)
	defer tick.Stop()
	for {
		select {
		case <-g.stop:
			return
		case <-tick.C:
		}
		failed, err := g.get(g.timeout, g.key("failed"))
		if err == nil && failed == nil {
			continue
		}
		if err == nil {
			_ = g.set(patience, g.key("alive", g.plan.Rank), mark)
		}
		g.once.Do(func() { close(g.down) })
		if err != nil {
			return // the store is gone
		}
	}
}

// fail makes the failure of an operation known, finds out who is lost, and returns the error of this and
// all later operations.
func (g *Group) fail(op string, cause error) error {
	if g.broken == nil {
		g.broken = g.explain(op, cause)
	}
	return g.broken
}

// Fail tells the others that this process cannot go on, which their next operation, or the one they wait in, returns with the
// cause. It is for errors between operations, which tell of their own.
func (g *Group) Fail(cause error) {
	if cause == nil || g.usable() != nil || g.plan.Alone() {
		return
	}
	g.broken, g.told = cause, true
	_ = g.tell(cause.Error()) // without the store nobody is there to tell
}

// tell makes known why this process fails, unless another has failed before, and that it lives.
func (g *Group) tell(why string) error {
	number, err := g.add(patience, g.key("failures"), 1)
	if err == nil && number == 1 {
		err = g.set(patience, g.key("failed"), fmt.Appendf(nil, "%d rank %d: %s", g.plan.Rank, g.plan.Rank, why))
	}
	if err == nil {
		err = g.set(patience, g.key("alive", g.plan.Rank), mark)
	}
	return err
}

func (g *Group) explain(op string, cause error) error {
	e := &LostError{Rank: g.plan.Rank, Store: g.plan.address(), Op: op, Err: cause}
	if g.plan.Alone() {
		return e
	}
	err := g.tell(fmt.Sprintf("%s: %v", op, cause))
	for end := time.Now().Add(patience); err == nil; {
		e.Ranks = nil
		for r := range g.plan.Size {
			var alive []byte
			if alive, err = g.get(patience, g.key("alive", r)); err != nil {
				break
			}
			if alive == nil && r != g.plan.Rank {
				e.Ranks = append(e.Ranks, r)
			}
		}
		if err == nil && (len(e.Ranks) == 0 || time.Now().After(end)) {
			break
		}
		time.Sleep(slice / 4)
	}
	if err != nil {
		return g.lostStore(cause)
	}
	if first, err := g.get(patience, g.key("failed")); err == nil && first != nil && len(e.Ranks) == 0 {
		// All live: the first that failed knows why.
		rank, text, _ := strings.Cut(string(first), " ")
		if r, err := strconv.Atoi(rank); err == nil && r != g.plan.Rank {
			e.Err = errors.New(text)
		}
	}
	return e
}

// lostStore is the error where the store does not answer, which rank 0 or a launcher keeps.
func (g *Group) lostStore(cause error) error {
	e := &LostError{Rank: g.plan.Rank, Store: g.plan.address(), Op: "reach the store", Err: cause}
	if !g.plan.Kept {
		e.Ranks = []int{0}
	}
	return e
}

// Close leaves the group, and waits a little for the others to leave too: the store and the connections
// are theirs as well.
func (g *Group) Close() {
	if g == nil || g.closed {
		return
	}
	g.closed = true
	if g.plan.Alone() {
		g.device.close(patience)
		return
	}
	g.leave()
}

func (g *Group) leave() {
	if g.watched {
		close(g.stop)
		if within(patience, func() error { <-g.stopped; return nil }) != nil {
			g.silent.Store(true) // it waits for the store
		}
	}
	if g.control == nil {
		if g.store != nil {
			g.store.Close()
		}
		return
	}
	err := g.set(patience, g.key("left", g.plan.Rank), mark)
	wait := patience
	if g.broken != nil { // the others may still ask the store who is lost
		wait = 0
		if g.plan.listens() {
			wait = 2 * slice
			if g.told { // all live, and ask why
				wait = patience
			}
		}
	} else if g.watched && g.plan.Rank > 0 { // rank 0 may still be writing, and what starts the processes ends all soon after one
		for end := time.Now().Add(g.timeout); err == nil && time.Now().Before(end); time.Sleep(slice / 10) {
			var gone []byte
			if gone, err = g.get(patience, g.key("left", 0)); gone != nil {
				break
			}
		}
	}
	for end := time.Now().Add(wait); err == nil && time.Now().Before(end) && !g.allLeft(); {
		time.Sleep(slice / 10)
	}
	if g.broken != nil {
		return // what may be in use stays until the process ends, which is near
	}
	g.device.close(patience)
	if g.silent.Load() {
		return // so does what a call in the background uses
	}
	if g.group != nil {
		g.group.Close()
	}
	g.control.Close()
	g.store.Close()
}

// allLeft reports whether all processes have left, or the store is gone.
func (g *Group) allLeft() bool {
	for r := range g.plan.Size {
		if left, err := g.get(patience, g.key("left", r)); err != nil || left == nil {
			return err != nil
		}
	}
	return true
}
