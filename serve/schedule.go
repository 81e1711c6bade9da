package serve

import (
	"context"
	"errors"
	"fmt"
	"image"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/internal/relay"
	"github.com/diffusioninst/go/picture"
)

// A job is a picture that waits for a model, and then its result.
type job struct {
	ctx     context.Context
	client  string
	model   *entry
	picture image.Image
	options diffusioninst.Options // with Seed
	likes   batchKey
	need    int64 // bytes of the model's call
	most    int64 // that a call may take; 0 or less for no limit

	channels []picture.Channel // of the file, for measurements

	// step, if not nil, is OnStep with the classes of the model that is called. Such a job runs alone.
	step func(at *diffusioninst.StepResult, classes []string)

	came    time.Time
	waited  time.Duration // until it ran
	ran     time.Duration
	batch   int // pictures that ran together
	running bool
	release func() // by the end, for a request that has not waited for it
	done    chan struct{}
	result  *diffusioninst.Result
	classes []string // of the model that made the result
	err     error
}

// A batchKey is equal for pictures that may go through a network together.
type batchKey struct {
	model         string
	options       string // without the seed
	width, height int    // of the network's input; 0 for a picture that runs alone
}

// A scheduler runs jobs: as many calls of models as there are workers, clients in turn. It has
// no goroutine while nothing runs.
type scheduler struct {
	workers, batch int
	wait           time.Duration
	took           func(time.Duration)
	metrics        *metrics

	lock    sync.Mutex
	running int
	turns   []string // clients with jobs that wait, whose turn comes first
	waiting map[string][]*job
	wake    *time.Timer
}

// add lets a job wait for its turn.
func (s *scheduler) add(j *job) {
	j.came, j.done = time.Now(), make(chan struct{})
	s.lock.Lock()
	defer s.lock.Unlock()
	if len(s.waiting[j.client]) == 0 {
		s.turns = append(s.turns, j.client)
	}
	s.waiting[j.client] = append(s.waiting[j.client], j)
	s.dispatch()
}

// abandon ends the wait of a request for its job, and calls release when nothing of it is in
// use any more.
func (s *scheduler) abandon(j *job, release func()) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if j.running {
		j.release = release
		return
	}
	s.remove(j)
	release()
}

// load returns how many jobs wait and how many calls run.
func (s *scheduler) load() (waiting, running int) {
	s.lock.Lock()
	defer s.lock.Unlock()
	for _, jobs := range s.waiting {
		waiting += len(jobs)
	}
	return waiting, s.running
}

// remove takes a job that waits, if it does, out of its queue.
func (s *scheduler) remove(j *job) {
	i := slices.Index(s.waiting[j.client], j)
	if i < 0 {
		return
	}
	if rest := slices.Delete(s.waiting[j.client], i, i+1); len(rest) > 0 {
		s.waiting[j.client] = rest
		return
	}
	delete(s.waiting, j.client)
	s.turns = slices.DeleteFunc(s.turns, func(c string) bool { return c == j.client })
}

// dispatch starts what can run now. The lock is held.
func (s *scheduler) dispatch() {
	for s.running < s.workers && len(s.turns) > 0 {
		first := s.waiting[s.turns[0]][0]
		jobs := s.gather(first)
		if left := s.wait - time.Since(first.came); len(jobs) < s.batch && first.likes.width > 0 && left > 0 {
			if s.wake != nil {
				s.wake.Stop()
			}
			s.wake = time.AfterFunc(left, func() {
				s.lock.Lock()
				defer s.lock.Unlock()
				s.dispatch()
			})
			return
		}
		for _, j := range jobs {
			j.running, j.waited, j.batch = true, time.Since(j.came), len(jobs)
			s.remove(j)
			if at := slices.Index(s.turns, j.client); at >= 0 {
				s.turns = append(slices.Delete(s.turns, at, at+1), j.client)
			}
		}
		s.running++
		go s.run(jobs)
	}
}

// gather returns a job and those that go through the network with it: of each client in turn
// the one that has waited longest, until there is no other or no room.
func (s *scheduler) gather(first *job) []*job {
	jobs, need := []*job{first}, first.need
	if s.batch == 1 || first.likes.width == 0 {
		return jobs
	}
	for depth, more := 0, true; more && len(jobs) < s.batch; depth++ {
		more = false
		for _, client := range s.turns {
			of := s.waiting[client]
			if depth >= len(of) || len(jobs) == s.batch {
				continue
			}
			more = true
			j := of[depth]
			if j == first || j.likes != first.likes || first.most > 0 && need+j.need > first.most {
				continue
			}
			jobs, need = append(jobs, j), need+j.need
		}
	}
	return jobs
}

// run makes the results of jobs. What a sampler or a backbone panics with becomes their error.
func (s *scheduler) run(jobs []*job) {
	start := time.Now()
	var end relay.End
	defer s.ended(jobs, &end, start) // runtime.Goexit does not come back from end.Run
	end.Run(func() { segment(jobs) })
}

// ended hands the results out and starts what follows.
func (s *scheduler) ended(jobs []*job, end *relay.End, start time.Time) {
	took := time.Since(start)
	s.took(took / time.Duration(len(jobs)*s.workers))
	s.metrics.call(jobs, took)
	s.lock.Lock()
	defer s.lock.Unlock()
	for _, j := range jobs {
		if end.Early() {
			j.result, j.err = nil, fmt.Errorf("serve: the call of the model panicked: %v", end.Value())
		}
		j.ran, j.running = took, false
		close(j.done)
		if j.release != nil {
			j.release()
		}
	}
	s.running--
	s.dispatch()
}

// segment runs jobs together, until all their requests have left. If that fails each is run
// alone, so that none fails because of another.
func segment(jobs []*job) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var here atomic.Int64
	here.Store(int64(len(jobs)))
	images, seeds := make([]image.Image, len(jobs)), make([]uint64, len(jobs))
	for i, j := range jobs {
		images[i], seeds[i] = j.picture, j.options.Seed
		stop := context.AfterFunc(j.ctx, func() {
			if here.Add(-1) == 0 {
				cancel()
			}
		})
		defer stop()
	}
	o := jobs[0].options
	o.Seed, o.Seeds = 0, seeds
	results, classes, err := jobs[0].model.segment(ctx, images, o, jobs[0].step)
	switch {
	case err == nil:
		for i, j := range jobs {
			j.result, j.classes = results[i], classes
		}
	case len(jobs) == 1 || ctx.Err() != nil:
		for _, j := range jobs {
			j.err = err
		}
	default:
		for i := range jobs {
			segment(jobs[i : i+1])
		}
	}
}

// An entry is a model under its name, which may be replaced by another one.
type entry struct {
	name  string
	model atomic.Pointer[diffusioninst.Model]
}

// segment calls the model, and its successor if it was closed after it was replaced. classes are
// the classes of the one that was called, for step, too.
func (e *entry) segment(ctx context.Context, images []image.Image, o diffusioninst.Options, step func(*diffusioninst.StepResult, []string)) (results []*diffusioninst.Result, classes []string, err error) {
	for {
		m := e.model.Load()
		classes := m.Config().Classes
		if step != nil {
			o.OnStep = func(at *diffusioninst.StepResult) { step(at, classes) }
		}
		results, err := m.SegmentBatch(ctx, images, o)
		if errors.Is(err, diffusioninst.ErrClosed) && e.model.Load() != m {
			continue
		}
		return results, classes, err
	}
}
