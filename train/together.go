package train

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/diffusioninst/go/backbone"
	"github.com/diffusioninst/go/torch"
	"github.com/diffusioninst/go/train/data"
)

// wholeBatch is what a process knows of a batch of which it has a part.
type wholeBatch struct {
	Pictures      []int // of each process
	Height, Width int   // of the largest picture
	IDs           []string
	first         int64 // number of this process's first sample in the run
	number        int64 // number of the batch's first sample
}

// wholeBatches learns from the others what the batches are of which parts are this process's
// share; own is an error that all must return.
func (t *Trainer) wholeBatches(ctx context.Context, parts [][]data.Sample, own error) ([]wholeBatch, error) {
	mine := make([]wholeBatch, len(parts))
	for i, part := range parts {
		mine[i] = wholeBatch{Pictures: []int{len(part)}, IDs: ids(part)}
		for _, s := range part {
			mine[i].Height, mine[i].Width = max(mine[i].Height, s.Height), max(mine[i].Width, s.Width)
		}
	}
	all, rank := [][]wholeBatch{mine}, 0
	if t.peers != nil {
		t.peers.err = nil
		rank = t.peers.Rank()
		type plan struct {
			Step    int
			Samples int64
			Parts   []wholeBatch
		}
		plans, err := tell(ctx, t.peers, plan{t.steps, t.samples, mine}, own)
		if err != nil {
			return nil, err
		}
		all = nil
		for _, p := range plans {
			if p.Step != t.steps || p.Samples != t.samples || len(p.Parts) != len(parts) {
				return nil, errors.New("train: the processes are not at the same step, with as many parts")
			}
			all = append(all, p.Parts)
		}
	} else if own != nil {
		return nil, own
	}
	if len(parts) == 0 {
		return nil, errWithoutSamples
	}
	t.parts = len(parts)
	out := make([]wholeBatch, len(parts))
	next := t.samples
	for i := range out {
		w := &out[i]
		w.number, w.first = next, next
		for r, other := range all {
			n := other[i].Pictures[0]
			if r < rank {
				w.first += int64(n)
			}
			next += int64(n)
			w.Pictures, w.IDs = append(w.Pictures, n), append(w.IDs, other[i].IDs...)
			w.Height, w.Width = max(w.Height, other[i].Height), max(w.Width, other[i].Width)
		}
		if next == w.number {
			return nil, errWithoutSamples
		}
	}
	return out, nil
}

var errWithoutSamples = errors.New("train: a batch without samples")

// stageCount is stageTotals in a message.
type stageCount struct {
	Proposals int64
	Matches   []int64
}

// accumulateTogether is accumulate for one of several processes.
func (t *Trainer) accumulateTogether(ctx context.Context, s *torch.Scope, samples []data.Sample, whole wholeBatch, share float64) ([]Loss, error) {
	var passes []*pass
	err := caught(func() error {
		if len(samples) == 0 {
			return nil
		}
		t.reseed(whole)
		passes = t.passes(s, t.noise(samples, whole))
		return t.predict(ctx, passes[0])
	})
	totals, err := t.settleAll(ctx, passes, t.outOfMemory(err, samples))
	if err != nil {
		return nil, err
	}
	common := t.settle(totals, whole)
	var losses []Loss
	t.parts--
	last := t.parts == 0 && t.buckets != nil // its backward pass completes the gradients
	err = caught(func() (err error) {
		if t.parts == 0 {
			t.reserve()
		}
		if last {
			t.buckets.Arm()
		}
		if len(passes) > 0 {
			losses, err = t.learn(ctx, passes[0], common, share)
		}
		return err
	})
	if last { // the others wait for this process's, whatever has happened
		err = cmp.Or(err, caught(func() error {
			t.buckets.Rest()
			return nil
		}))
	}
	if losses, err = t.share(ctx, losses, t.outOfMemory(err, samples)); err != nil {
		if last {
			_ = t.awaitBuckets(ctx) // err says more
		}
		return nil, err
	}
	return losses, t.followed(ctx, s, whole)
}

// settleAll is totals over all processes. own is an error of this one; without pictures it has no pass.
func (t *Trainer) settleAll(ctx context.Context, passes []*pass, own error) ([]stageTotals, error) {
	var mine []stageCount
	if len(passes) > 0 && own == nil {
		for _, s := range t.totals(passes) {
			mine = append(mine, stageCount{s.proposals, s.matches})
		}
	}
	all, err := tell(ctx, t.peers, mine, own)
	if err != nil {
		return nil, err
	}
	var sum []stageTotals
	for _, counts := range all {
		for k, c := range counts {
			if k == len(sum) {
				sum = append(sum, stageTotals{matches: make([]int64, len(t.config.Classes))})
			}
			sum[k].add(stageTotals{c.Proposals, c.Matches})
		}
	}
	return sum, nil
}

// result is what a process says after its backward pass.
type result struct {
	Losses  []Loss
	Learned []int // places of the parameters that have gradients
}

// share exchanges the results of all processes and adds up the losses.
func (t *Trainer) share(ctx context.Context, losses []Loss, own error) ([]Loss, error) {
	var mine result
	if own == nil {
		mine.Losses = losses
		err := caught(func() error {
			for i, p := range t.store.Parameters() {
				if g := p.Tensor.Grad(nil); g != nil {
					mine.Learned = append(mine.Learned, i)
					g.Close()
				}
			}
			return nil
		})
		own = err
	}
	all, err := tell(ctx, t.peers, mine, own)
	if err != nil {
		return nil, err
	}
	var sum []Loss
	t.learned = nil
	for _, r := range all {
		t.learned = append(t.learned, r.Learned...)
		switch {
		case len(r.Losses) == 0: // no pictures
		case sum == nil:
			sum = slices.Clone(r.Losses)
		default:
			addLosses(sum, r.Losses)
		}
	}
	slices.Sort(t.learned)
	t.learned = slices.Compact(t.learned)
	return sum, nil
}

// reseed gives the stochastic depth of this process numbers of its own, which need no place in a checkpoint.
func (t *Trainer) reseed(whole wholeBatch) {
	b, ok := t.network.Backbone.(backbone.Stochastic)
	if !ok {
		return
	}
	h := fnv.New64a()
	for _, v := range []uint64{t.options.Seed, uint64(whole.number), uint64(t.peers.Rank())} {
		_ = binary.Write(h, binary.LittleEndian, v)
	}
	b.Reseed(h.Sum64())
}

// meet makes all processes start from rank 0's parameters, and joins the synchronised norms. It must be called
// inside torch.Do.
func (t *Trainer) meet(ctx context.Context) error {
	p := t.options.Processes
	if p == nil {
		return nil
	}
	t.peers = &peers{Processes: p}
	if t.options.SyncBatchNorm {
		group := torch.NewSyncGroupOver(t.peers.norm)
		for _, n := range t.store.Norms() {
			n.Member = &torch.SyncMember{Group: group}
		}
	}
	if err := t.openBuckets(ctx); err != nil {
		return err
	}
	all := leaves(t.store)
	if t.average != nil {
		for _, p := range t.average.Parameters() {
			all = append(all, p.Tensor)
		}
	}
	return t.broadcast(ctx, all)
}

// resumeTogether is resume by rank 0, whose state all take over.
func (t *Trainer) resumeTogether(ctx context.Context, path string) (note []byte, err error) {
	t.peers.err = nil
	var m memory
	if t.peers.Rank() == 0 {
		if note, err = t.resume(ctx, path); err == nil {
			err = torch.Do(ctx, func(*torch.Scope) (err error) {
				m, err = t.memory()
				return err
			})
		}
		m.Note = note
	}
	all, err := tell(ctx, t.peers, m, err)
	if err != nil {
		return nil, err
	}
	m = all[0]
	err = torch.Do(ctx, func(s *torch.Scope) error {
		values := map[string]*torch.Tensor{}
		for _, p := range t.tensors() {
			data := s.Adopt(p.Tensor).Detach().Bytes()
			if err := t.peers.Broadcast(ctx, 0, data); err != nil {
				return err
			}
			if t.peers.Rank() > 0 {
				values[p.Name] = s.FromBytes(data, p.Tensor.DType(), torch.CPU, p.Tensor.Shape()...)
			}
		}
		if t.peers.Rank() > 0 {
			if err := t.setRandom(m); err != nil {
				return err
			}
			if err := t.restore(s, values, m); err != nil {
				return err
			}
		}
		// What a checkpoint of version 1 says of draws is for one process.
		if d, ok := t.options.Draws.(*numbered); ok && d.sequential {
			*d = *newNumbered(t.options.Seed)
		}
		return nil
	})
	return m.Note, err
}

// agree returns the error of the process with the lowest rank that has one, in all of them. The end of ctx does not interrupt it: one
// that left would be lost to the others, who may be writing.
func (t *Trainer) agree(ctx context.Context, own error) error {
	if t.peers == nil {
		return own
	}
	t.peers.err = nil
	_, err := tell(context.WithoutCancel(ctx), t.peers, struct{}{}, own)
	return err
}

// alike is an error in all processes if what they say of the run differs.
func (t *Trainer) alike(ctx context.Context, mine string) error {
	if t.peers == nil {
		return nil
	}
	t.peers.err = nil
	all, err := tell(context.WithoutCancel(ctx), t.peers, mine, nil)
	if err != nil {
		return err
	}
	for r, other := range all {
		if other != all[0] {
			return fmt.Errorf("train: rank %d has another run than rank 0: %s", r, difference(other, all[0]))
		}
	}
	return nil
}

// sameParameters is an error in all processes if what they have learned differs: each moves its own parameters by the same
// gradients, and machines of different kinds may round otherwise.
func (t *Trainer) sameParameters(ctx context.Context) error {
	if t.peers == nil {
		return nil
	}
	sum := newChecksum("")
	own := torch.Do(ctx, func(s *torch.Scope) error {
		for _, p := range t.store.Parameters() {
			if !p.Buffer {
				sum.Write(s.Adopt(p.Tensor).Detach().Bytes())
			}
		}
		return nil
	})
	t.peers.err = nil
	all, err := tell(context.WithoutCancel(ctx), t.peers, sum.Sum32(), own)
	if err != nil {
		return err
	}
	for r, other := range all {
		if other != all[0] {
			return fmt.Errorf("train: after step %d rank %d has other parameters than rank 0: their processors, GPUs or libraries round otherwise; what was saved is rank 0's, train on with machines of one kind", t.steps, r)
		}
	}
	return nil
}

// difference returns the first lines in which two texts differ.
func difference(one, two string) string {
	lines := strings.Split(two, "\n")
	for i, line := range strings.Split(one, "\n") {
		if i >= len(lines) || line != lines[i] {
			return fmt.Sprintf("%.200s, not %.200s", line, strings.Join(lines[min(i, len(lines)):min(i+1, len(lines))], ""))
		}
	}
	return "it says less"
}

// first reports whether this is the process that writes.
func (t *Trainer) first() bool { return t.peers == nil || t.peers.Rank() == 0 }
