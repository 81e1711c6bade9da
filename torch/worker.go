package torch

import (
	"context"
	"os"
	"runtime"
	"sync"

	"github.com/diffusioninst/go/internal/libtorch"
)

// pool is the process's set of workers. Each is locked to an OS thread, because
// LibTorch's gradient mode belongs to a thread and every thread that enters
// OpenMP grows a team of its own.
var pool struct {
	sync.Mutex
	threads int // of each worker's team; 0 for the default
	workers int
	jobs    chan *job
}

type job struct {
	run    func(*Scope) error
	err    error
	lost   any  // what run panicked with, other than *Error
	exited bool // run ended its goroutine, as testing.T.FailNow does
	done   chan struct{}
}

// SetThreads sets how many threads one operator may use. The default is the
// number of physical cores, or OMP_NUM_THREADS if that is set. It must be
// called before the first Do; it returns false when it comes too late.
func SetThreads(n int) bool {
	pool.Lock()
	defer pool.Unlock()
	if pool.jobs != nil || n < 1 {
		return false
	}
	pool.threads = n
	return true
}

// SetWorkers sets how many Do may run at once. The default is 1: one operator
// already uses all cores. It must be called before the first Do; it returns false
// when it comes too late.
func SetWorkers(n int) bool {
	pool.Lock()
	defer pool.Unlock()
	if pool.jobs != nil || n < 1 {
		return false
	}
	pool.workers = n
	return true
}

// Do runs f on one of the process's tensor workers and waits for it. The scope
// and all its tensors end with f. A panic with *Error inside f becomes the
// returned error; any other panic, and runtime.Goexit, go on in the caller. While all workers are
// busy Do waits, and ctx can end that wait. Gradients are off; see WithGrad.
//
// f must not call Do, and must not use its scope after it returns.
func Do(ctx context.Context, f func(s *Scope) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	j := &job{run: f, done: make(chan struct{})}
	select {
	case start() <- j:
	case <-ctx.Done():
		return ctx.Err()
	}
	<-j.done
	if j.lost != nil {
		panic(j.lost)
	}
	if j.exited {
		runtime.Goexit()
	}
	return j.err
}

func start() chan<- *job {
	pool.Lock()
	defer pool.Unlock()
	if pool.jobs == nil {
		pool.jobs = make(chan *job)
		libtorch.UseHugePages()
		if pool.threads == 0 && os.Getenv("OMP_NUM_THREADS") == "" {
			pool.threads = physicalCores()
		}
		for range max(pool.workers, 1) {
			go work(pool.jobs, pool.threads)
		}
	}
	return pool.jobs
}

func work(jobs <-chan *job, threads int) {
	runtime.LockOSThread()
	libtorch.SetThreads(threads)
	libtorch.SetGradEnabled(false)
	for j := range jobs {
		j.do(func() { go work(jobs, threads) })
	}
}

// do runs the job; replace starts another worker where this one is ended by it.
func (j *job) do(replace func()) {
	s := NewScope()
	returned := false
	defer func() {
		if r := recover(); r != nil {
			if e, ok := r.(*Error); ok {
				j.err = e
			} else {
				j.lost = r
			}
		} else if !returned {
			j.exited = true
			replace()
		}
		libtorch.SetGradEnabled(false)
		s.Close()
		close(j.done)
	}()
	j.err = j.run(s)
	returned = true
}
