package torch

import (
	"context"
	"errors"
	"fmt"

	"github.com/diffusioninst/go/internal/libtorch"
)

// A Team is a set of workers beside Do's, on threads of their own, that run one function
// side by side, each with its share of the processor's cores.
type Team struct {
	jobs   []chan *job
	turn   chan struct{} // full while a Do runs: two of them would wait for each other's workers
	closed bool          // written and read in turn
}

// NewTeam starts a number of workers, at least one. threads is how many threads an operator of each
// may use; 0 shares out the physical cores, or OMP_NUM_THREADS if that is set.
func NewTeam(workers, threads int) *Team {
	workers = max(workers, 1)
	if threads == 0 {
		threads = max(defaultThreads()/workers, 1)
	}
	t := &Team{turn: make(chan struct{}, 1)}
	for range workers {
		jobs := make(chan *job)
		t.jobs = append(t.jobs, jobs)
		w := &worker{jobs: jobs, setThreads: func() { libtorch.ShareThreads(threads) }, team: true}
		go w.work()
	}
	return t
}

// Do runs f on the first n workers at once, waits for all, and returns each one's
// error. It is Do otherwise; unlike Do it may be called inside Do, but not inside Team.Do.
// Another Do of the same team waits for it.
func (t *Team) Do(ctx context.Context, n int, f func(worker int, s *Scope) error) []error {
	outer := current()
	errs := make([]error, max(n, 0))
	var err error
	if t == nil || t.turn == nil {
		err = errors.New("torch: the Team is nil, or was not made by NewTeam")
	} else if n > len(t.jobs) {
		err = fmt.Errorf("torch: %d workers wanted of a team of %d", n, len(t.jobs))
	} else {
		err = t.begin(ctx, outer)
	}
	if err != nil {
		for i := range errs {
			errs[i] = err
		}
		return errs
	}
	defer func() { <-t.turn }()
	all := make([]*job, len(errs))
	for i := range all {
		all[i] = &job{run: func(s *Scope) error { return f(i, s) }, done: make(chan struct{})}
		t.jobs[i] <- all[i]
	}
	for _, j := range all {
		<-j.done
	}
	for i, j := range all {
		if outer != nil {
			j.end.PassThrough(&outer.job.end)
		}
		j.end.Pass()
		errs[i] = j.err
	}
	return errs
}

// begin waits for the team's turn. outer is the worker that asks for it, if it is one.
func (t *Team) begin(ctx context.Context, outer *worker) error {
	if outer != nil && outer.team {
		return ErrNested
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case t.turn <- struct{}{}:
		if t.closed {
			<-t.turn
			return errors.New("torch: the Team is closed")
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close waits for a Do and ends the workers. A later Do returns an error.
func (t *Team) Close() {
	if t == nil || t.turn == nil {
		return
	}
	t.turn <- struct{}{}
	defer func() { <-t.turn }()
	if t.closed {
		return
	}
	t.closed = true
	for _, jobs := range t.jobs {
		close(jobs)
	}
}
