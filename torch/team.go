package torch

import (
	"context"
	"runtime"
	"sync"

	"github.com/diffusioninst/go/internal/libtorch"
)

// A Team is a set of workers beside those of Do, on threads of their own, that run one function
// side by side, each with its share of the processor's cores.
type Team struct {
	jobs []chan *job
	once sync.Once
}

// NewTeam starts a number of workers. threads is how many threads an operator of each
// may use; 0 shares out the physical cores, or OMP_NUM_THREADS if that is set.
func NewTeam(workers, threads int) *Team {
	if threads == 0 {
		threads = max(defaultThreads()/workers, 1)
	}
	t := &Team{}
	for range workers {
		jobs := make(chan *job)
		t.jobs = append(t.jobs, jobs)
		go teamWork(jobs, threads)
	}
	return t
}

func teamWork(jobs <-chan *job, threads int) {
	// Never unlocked: the thread ends with the worker, and its OpenMP team with it.
	runtime.LockOSThread()
	libtorch.ShareThreads(threads)
	libtorch.SetGradEnabled(false)
	for j := range jobs {
		j.do(func() { go teamWork(jobs, threads) })
	}
}

// Do runs f on the first n workers at once, waits for all, and returns each one's
// error. It is Do otherwise; unlike Do it may be called inside Do.
func (t *Team) Do(ctx context.Context, n int, f func(worker int, s *Scope) error) []error {
	errs := make([]error, n)
	if err := ctx.Err(); err != nil {
		for i := range errs {
			errs[i] = err
		}
		return errs
	}
	all := make([]*job, n)
	for i := range all {
		all[i] = &job{run: func(s *Scope) error { return f(i, s) }, done: make(chan struct{})}
		t.jobs[i] <- all[i]
	}
	for _, j := range all {
		<-j.done
	}
	for i, j := range all {
		if j.lost != nil {
			panic(j.lost)
		}
		if j.exited {
			runtime.Goexit()
		}
		errs[i] = j.err
	}
	return errs
}

// Close ends the workers.
func (t *Team) Close() {
	t.once.Do(func() {
		for _, jobs := range t.jobs {
			close(jobs)
		}
	})
}
