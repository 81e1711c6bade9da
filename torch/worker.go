package torch

import (
	"cmp"
	"context"
	"errors"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/diffusioninst/go/internal/libtorch"
	"github.com/diffusioninst/go/internal/processor"
	"github.com/diffusioninst/go/internal/relay"
)

// pool is the process's set of workers. Each is locked to an OS thread, because
// LibTorch's gradient mode belongs to a thread and every thread that enters
// OpenMP grows a team of its own.
var pool struct {
	sync.Mutex
	threads int // of each worker's team; 0 for the default
	workers int
	jobs    chan *job
	waits   *waits // of the teams' threads; nil where the environment says how they wait
}

// job is a function to be run by a worker.
type job struct {
	run  func(*Scope) error
	err  error
	end  relay.End // how run ended, other than by returning and by *Error
	done chan struct{}
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

// ShareCores sets the threads of one operator to this process's share of the physical cores, of a number
// of processes that compute on this machine at once. A number above 1 in OMP_NUM_THREADS, which torchrun
// sets to 1 without being asked, overrides it. It must be called before the first Do; it returns false when it
// comes too late.
func ShareCores(processes int) bool {
	cores := processor.Cores()
	threads := cores / max(processes, 1)
	if n := defaultThreads(); n > 1 && n != cores {
		threads = n
	}
	return SetThreads(max(threads, 1))
}

// SetWorkers sets how many Do may run at once. The default is 1: one operator
// already uses all cores, which several workers share out, unless SetThreads says
// otherwise. It must be called before the first Do; it returns false when it comes too late.
func SetWorkers(n int) bool {
	pool.Lock()
	defer pool.Unlock()
	if pool.jobs != nil || n < 1 {
		return false
	}
	pool.workers = n
	return true
}

// ErrNested is the error of Do inside Do, and of Team.Do inside Team.Do.
var ErrNested = errors.New("torch: Do inside Do, as in a sampler, a backbone or a callback of a running call, would wait for itself for ever: use the scope that is there, or call it after the outer one has returned")

// Do runs f on one of the process's tensor workers and waits for it. The scope
// and all its tensors end with f. A panic with *Error inside f becomes the
// returned error; any other panic, and runtime.Goexit, go on in the caller. While all workers are
// busy Do waits, and ctx can end that wait. Gradients are off; see WithGrad.
//
// f must not use its scope after it returns. Do inside f returns ErrNested; f must not wait
// for another goroutine's Do either, which nothing detects.
func Do(ctx context.Context, f func(s *Scope) error) error {
	if f == nil {
		return errors.New("torch: Do without a function")
	}
	if Inside() {
		return ErrNested
	}
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
	j.end.Pass()
	return j.err
}

// Inside reports whether the caller runs inside Do or Team.Do. It is always false where the
// operating system is not Linux.
func Inside() bool { return current() != nil }

func start() chan<- *job {
	pool.Lock()
	defer pool.Unlock()
	if pool.jobs == nil {
		pool.jobs = make(chan *job)
		workers := max(pool.workers, 1)
		libtorch.UseHugePages()
		if pool.threads == 0 && os.Getenv("OMP_NUM_THREADS") == "" {
			pool.threads = max(processor.Cores()/workers, 1)
		}
		if cmp.Or(pool.threads, defaultThreads()) > 1 && os.Getenv("OMP_WAIT_POLICY") == "" && os.Getenv("GOMP_SPINCOUNT") == "" {
			pool.waits = newWaits(threadTimes, libtorch.SleepWhileWaiting)
		}
		for range workers {
			w := &worker{jobs: pool.jobs, setThreads: setThreads}
			go w.work()
		}
	}
	pool.waits.look(time.Now())
	return pool.jobs
}

// setThreads leaves OMP_NUM_THREADS to OpenMP, which reads it.
func setThreads() {
	if pool.threads > 0 {
		libtorch.ShareThreads(pool.threads)
	}
}

// worker is a goroutine that is locked to its thread and runs jobs.
type worker struct {
	jobs       <-chan *job
	setThreads func() // of the thread's operators
	team       bool   // belongs to a Team
	job        *job   // that it runs
}

// workers are all workers by the number of their thread, on which no other goroutine runs.
var workers sync.Map

// current returns the worker that the caller runs on; nil if there is none.
func current() *worker {
	runtime.LockOSThread() // or a worker could begin on this thread in between
	defer runtime.UnlockOSThread()
	w, _ := workers.Load(threadID())
	found, _ := w.(*worker)
	return found
}

// work runs jobs until there are no more. The goroutine stays locked to its thread, which
// ends with it, and the thread's OpenMP team with that.
func (w *worker) work() {
	runtime.LockOSThread()
	id := threadID()
	workers.Store(id, w)
	defer workers.Delete(id)
	w.setThreads()
	libtorch.SetGradEnabled(false)
	for j := range w.jobs {
		w.job = j
		j.do(func() { go w.work() })
	}
}

// do runs the job; replace starts another worker where this one is ended by it.
func (j *job) do(replace func()) {
	s := NewScope()
	defer func() {
		if e, ok := j.end.Value().(*Error); ok {
			j.err, j.end = e, relay.End{}
		} else if j.end.Exited() {
			replace()
		}
		libtorch.SetGradEnabled(false)
		s.Close()
		close(j.done)
	}()
	j.end.Run(func() { j.err = j.run(s) })
}
