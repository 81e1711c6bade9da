package data

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/diffusioninst/go/internal/relay"
)

// LoaderOptions are the settings of NewLoader.
type LoaderOptions struct {
	// Batch is the number of samples of a batch. It is required.
	Batch int
	// Augment changes every sample; nil leaves them as they are.
	Augment Augmentation
	// CopyPaste is the share of samples, 0 to 1, that get about half of the objects of another picture,
	// which is drawn and augmented like theirs (Ghiasi et al., arXiv 2012.07177, without blending).
	CopyPaste float64
	// Seed is where the order and all augmentation come from.
	Seed uint64
	// Rank and Ranks make Next return a part of each batch only, in the same order of all pictures:
	// that of process Rank, from 0, of Ranks. The parts differ by one sample at most; with fewer samples than
	// processes some are empty. By default there is one process.
	Rank, Ranks int
	// InOrder goes through the pictures by number, not in another random order in each
	// epoch.
	InOrder bool
	// Repeat is how often each picture is drawn in an epoch, on average: nil for once,
	// [RepeatFactors] for more of the rare classes.
	Repeat []float64
	// GroupAspects makes batches of pictures that are wider than high, and of others, so
	// that less of a batch is padding. The Dataset must be a [Summarizer]. Augmentation is
	// not taken into account.
	GroupAspects bool
	// OnError decides about a sample that cannot be read or augmented, which the error, a
	// *[SampleError] unless the Dataset has its own, names. With nil OnError, or if it
	// returns an error, Next fails with it. Otherwise a random other picture takes the
	// sample's place. It is called by Next, in the order of the samples, each time that
	// the sample's turn comes.
	OnError func(err error) error
	// Workers is how many goroutines read and augment, by default three for every four
	// processors of the program: with as many as there are, whoever trains has to wait for
	// one. Samples do not depend on it.
	Workers int
	// Prefetch is how many batches are made before they are asked for: by default 2, or as
	// many as keep all workers busy.
	Prefetch int
}

// replacements is how many pictures are tried in place of one that cannot be read.
const replacements = 20

// What a loader plans and starts at most; a sample in memory takes megabytes.
const (
	maxBatch   = 1 << 16
	maxAhead   = 1 << 20 // samples
	maxWorkers = 1 << 12
	maxEpoch   = 1 << 28 // samples, whose order takes 2 GB
)

// A Loader draws batches of a Dataset without end: epoch follows epoch, and a batch may
// have samples of two. One goroutine at a time may use it.
type Loader struct {
	data    Dataset
	options LoaderOptions
	plan    batches
	done    int64    // batches handed out
	ahead   []*batch // planned, the next one first

	jobs    chan job
	workers sync.WaitGroup
	stop    context.CancelFunc // ends the workers' jobs; nil once the Loader is closed
}

// job is one sample of a batch to be made.
type job struct {
	batch *batch
	at    int
}

// batch is samples in the making.
type batch struct {
	picks   []pick
	samples []Sample
	made    []bool      // of each sample
	errs    [][]error   // of each sample: why it, its replacements, and what was to be pasted failed
	ends    []relay.End // of the work on each sample
	missing atomic.Int64
	ready   chan struct{} // closed when none is missing
}

// NewLoader returns a Loader, which the caller closes.
func NewLoader(d Dataset, o LoaderOptions) (*Loader, error) {
	if err := o.check(d); err != nil {
		return nil, err
	}
	if o.Workers == 0 {
		o.Workers = max(1, runtime.GOMAXPROCS(0)*3/4)
	}
	if o.Prefetch == 0 {
		own := (o.Batch + max(o.Ranks, 1) - 1) / max(o.Ranks, 1) // of a batch
		o.Prefetch = max(2, (o.Workers+own-1)/own)
	}
	l := &Loader{data: d, options: o, plan: batches{order: newOrder(d.Len(), o), size: o.Batch}}
	if o.GroupAspects {
		known := d.(Summarizer)
		l.plan.wide = make([]bool, d.Len())
		for i := range l.plan.wide {
			s := known.Summary(i)
			l.plan.wide[i] = s.Width > s.Height
		}
	}
	l.start()
	return l, nil
}

// start starts the workers.
func (l *Loader) start() {
	var ctx context.Context
	ctx, l.stop = context.WithCancel(context.Background())
	jobs := make(chan job, l.options.Batch*(l.options.Prefetch+1))
	l.jobs = jobs
	var worker func()
	worker = func() {
		for j := range jobs {
			func() {
				end := &j.batch.ends[j.at]
				defer func() {
					if end.Exited() {
						l.workers.Go(worker) // in place of this one
					}
					if j.batch.missing.Add(-1) == 0 {
						close(j.batch.ready)
					}
				}()
				end.Run(func() { l.work(ctx, j) })
			}()
		}
	}
	for range l.options.Workers {
		l.workers.Go(worker)
	}
}

// end makes the workers drop what is in the works, and waits for them.
func (l *Loader) end() {
	l.stop()
	close(l.jobs)
	l.workers.Wait()
}

func (o LoaderOptions) check(d Dataset) error {
	if err := present(d); err != nil {
		return err
	}
	switch {
	case d.Len() < 1:
		return errors.New("data: a data set without pictures")
	case o.Batch < 1:
		return fmt.Errorf("data: batches of %d samples", o.Batch)
	case o.Batch > maxBatch || o.Workers > maxWorkers || o.Prefetch > maxAhead/o.Batch:
		return fmt.Errorf("data: batches of %d samples, %d of them ahead, by %d workers: want at most %d samples, %d ahead in all, and %d workers",
			o.Batch, o.Prefetch, o.Workers, maxBatch, maxAhead, maxWorkers)
	case o.Ranks < 0 || o.Rank < 0 || o.Rank >= max(o.Ranks, 1):
		return fmt.Errorf("data: part %d of batches in %d parts, counted from 0", o.Rank, o.Ranks)
	case !(o.CopyPaste >= 0 && o.CopyPaste <= 1):
		return fmt.Errorf("data: a share of %v of the samples with objects of others: want 0 to 1", o.CopyPaste)
	case o.Workers < 0 || o.Prefetch < 0:
		return fmt.Errorf("data: %d workers, %d batches ahead", o.Workers, o.Prefetch)
	case o.Repeat != nil && len(o.Repeat) != d.Len():
		return fmt.Errorf("data: %d repeat factors for %d pictures", len(o.Repeat), d.Len())
	}
	most, epoch := 0.0, 0.0
	for i, f := range o.Repeat {
		if !(f >= 0 && f <= math.MaxInt16) {
			return fmt.Errorf("data: repeat factor %g of picture %d", f, i)
		}
		most, epoch = max(most, f), epoch+f
	}
	if epoch = max(epoch, float64(d.Len())); epoch > maxEpoch {
		return fmt.Errorf("data: an epoch of %.0f samples: at most %d", epoch, maxEpoch)
	}
	if o.Repeat != nil && most < 1 {
		return errors.New("data: no picture has a repeat factor of 1 or more")
	}
	if _, ok := d.(Summarizer); o.GroupAspects && !ok {
		return fmt.Errorf("data: aspect ratios of a %T are not known before it is read", d)
	}
	return nil
}

var errClosed = errors.New("data: the loader is closed")

// Next returns the next batch. After an error, ctx's included, the next Next returns the same
// batch, or fails again. A panic of the Dataset or of Augment goes on in Next, and so does
// runtime.Goexit.
func (l *Loader) Next(ctx context.Context) ([]Sample, error) {
	if l == nil || l.stop == nil {
		return nil, errClosed
	}
	l.fill()
	b := l.ahead[0]
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-b.ready:
	}
	for i, errs := range b.errs {
		for _, err := range errs {
			if l.options.OnError == nil {
				return nil, err
			}
			if err := l.options.OnError(err); err != nil {
				return nil, err
			}
		}
		if len(errs) > replacements && !b.made[i] {
			return nil, fmt.Errorf("data: none of %d pictures drawn for sample %d can be read; the last: %w", len(errs), b.picks[i].n, errs[len(errs)-1])
		}
		b.ends[i].Pass()
	}
	l.ahead = l.ahead[1:]
	l.done++
	l.fill()
	return b.samples, nil
}

// fill plans batches up to the number wanted ahead.
func (l *Loader) fill() {
	for len(l.ahead) < l.options.Prefetch {
		picks := part(l.plan.next(), l.options.Rank, max(l.options.Ranks, 1))
		b := &batch{picks: picks, samples: make([]Sample, len(picks)), made: make([]bool, len(picks)), errs: make([][]error, len(picks)), ends: make([]relay.End, len(picks)), ready: make(chan struct{})}
		b.missing.Store(int64(len(picks)))
		if len(picks) == 0 {
			close(b.ready)
		}
		l.ahead = append(l.ahead, b)
		for i := range picks {
			l.jobs <- job{b, i}
		}
	}
}

// work makes a sample, or one in its place.
func (l *Loader) work(ctx context.Context, j job) {
	p := j.batch.picks[j.at]
	for attempt := int64(0); attempt <= replacements && ctx.Err() == nil; attempt++ {
		index := p.index
		if attempt > 0 {
			index = random(l.options.Seed, forReplacement, p.n, attempt).IntN(l.data.Len())
		}
		s, pasted, err := l.sample(ctx, p.n, index, attempt)
		if pasted != nil {
			j.batch.errs[j.at] = append(j.batch.errs[j.at], pasted)
		}
		if err == nil {
			j.batch.samples[j.at], j.batch.made[j.at] = s, true
			return
		}
		j.batch.errs[j.at] = append(j.batch.errs[j.at], err)
		if l.options.OnError == nil {
			return
		}
	}
}

// sample makes sample n of the run of a picture. Each attempt pastes of another one, of which pasted says why nothing
// was pasted: that does not count against the sample.
func (l *Loader) sample(ctx context.Context, n int64, index int, attempt int64) (s Sample, pasted, err error) {
	s, err = l.augmented(ctx, index, random(l.options.Seed, forSample, n, 0))
	if err != nil || l.options.CopyPaste == 0 {
		return s, nil, err
	}
	r := random(l.options.Seed, forPaste, n, attempt)
	if r.Float64() >= l.options.CopyPaste {
		return s, nil, nil
	}
	classes := len(l.data.Classes()) // an augmentation may be anyone's
	if err := s.Check(classes); err != nil {
		return Sample{}, nil, err
	}
	other, err := l.augmented(ctx, r.IntN(l.data.Len()), r)
	if err == nil {
		err = other.Check(classes)
	}
	if err != nil {
		return s, err, nil
	}
	s, err = paste(s, other, r)
	return s, nil, err
}

// augmented reads a picture and augments it.
func (l *Loader) augmented(ctx context.Context, index int, r *rand.Rand) (Sample, error) {
	s, err := l.data.Sample(ctx, index)
	if err != nil {
		return Sample{}, err
	}
	if err := s.Check(len(l.data.Classes())); err != nil {
		return Sample{}, err
	}
	if l.options.Augment == nil {
		return s, nil
	}
	changed, err := l.options.Augment.Apply(s, r)
	if err != nil {
		return Sample{}, &SampleError{ID: s.ID, Reason: "augmentation", Err: err}
	}
	return changed, nil // Trainer.Step checks what it learns from
}

// Position returns the number of batches handed out, which is what [Loader.SeekTo] needs to continue.
func (l *Loader) Position() int64 { return l.done }

// SeekTo makes batch number n the next one: Next then returns exactly what it would have
// returned after n calls of Next of a new Loader with the same Dataset and options.
func (l *Loader) SeekTo(n int64) error {
	switch {
	case l == nil || l.stop == nil:
		return errClosed
	case n < 0 || n > math.MaxInt64/int64(l.options.Batch):
		return fmt.Errorf("data: seek to batch %d", n)
	}
	l.end()
	l.start()
	l.ahead = nil
	l.plan.seek(n)
	l.done = n
	return nil
}

// Close ends the work in the background and waits for it. A closed Loader can be closed
// again.
func (l *Loader) Close() {
	if l == nil || l.stop == nil {
		return
	}
	l.end()
	l.stop = nil
}
