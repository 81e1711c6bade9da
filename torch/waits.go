package torch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// waits decides how the threads of operators wait for the next one. Threads that spin take it up at
// once, where waking one that sleeps takes tens of microseconds, several hundred times per picture. But on
// a machine with other work they keep the cores from it, and from each other. So they spin only
// while this process gets a core whenever it wants one.
type waits struct {
	times  func() (ran, delayed time.Duration, err error) // of this process's threads: on a core, and waiting for one
	sleep  func(bool)
	next   time.Time // of the next look
	ran    time.Duration
	waited time.Duration
	free   int // looks in turn that found free cores
}

const (
	lookEvery  = 200 * time.Millisecond
	lookTime   = 20 * time.Millisecond // of computing that says something
	looksToTry = 2                     // free ones in turn, before threads that sleep spin
	contended  = 0.3                   // share of waiting for a core in the time on one: 0.03 to 0.25 alone, 0.5 and more beside others
)

// newWaits returns waits whose threads sleep at first: that one thread, which started the program, always got a core does not
// say that two do.
func newWaits(times func() (ran, delayed time.Duration, err error), sleep func(bool)) *waits {
	sleep(true)
	return &waits{times: times, sleep: sleep}
}

// look looks at how this process fared since the last look, if it is time to.
func (w *waits) look(now time.Time) {
	if w == nil || now.Before(w.next) {
		return
	}
	w.next = now.Add(lookEvery)
	ran, waited, err := w.times()
	r, d := ran-w.ran, waited-w.waited
	if err == nil && (r < 0 || d < 0) { // threads have ended, and their times with them
		w.ran, w.waited = ran, waited
		return
	}
	if err == nil && r < lookTime {
		return
	}
	w.ran, w.waited = ran, waited
	if err != nil || float64(d) > contended*float64(r) {
		w.free = 0
		w.sleep(true)
		return
	}
	if w.free++; w.free >= looksToTry {
		w.sleep(false)
	}
}

// threadTimes returns how long this process's threads have run and waited for a core; an error where
// the system does not say.
func threadTimes() (ran, delayed time.Duration, err error) {
	files, err := filepath.Glob("/proc/self/task/*/schedstat")
	read := 0
	for _, f := range files {
		text, fault := os.ReadFile(f)
		var r, d time.Duration
		if _, e := fmt.Sscan(string(text), &r, &d); fault != nil || e != nil {
			continue // the thread has ended
		}
		ran, delayed, read = ran+r, delayed+d, read+1
	}
	if read == 0 || ran == 0 {
		return 0, 0, errors.New("torch: no times of threads in /proc/self/task")
	}
	return ran, delayed, err
}
