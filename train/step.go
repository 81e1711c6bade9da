package train

import (
	"cmp"
	"context"
	"errors"
	"runtime/trace"
	"sync/atomic"

	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
	"github.com/diffusioninst/go/train/data"
)

// Step trains on one batch. A batch that does not fit into memory at once comes in parts,
// whose gradients are averaged. A sample that cannot be trained on is a *data.SampleError,
// a value that is not finite a *nn.NotFiniteError, and too little memory an *OutOfMemoryError; after each the state is
// what it was before.
//
// With Options.Processes a batch is what all processes pass together, in the order of their ranks, and
// some may pass a part without samples. The report is that of the whole batch, and an error that one
// process has is a *ProcessError in all. So is the end of one's ctx before the step, which is then not interrupted.
func (t *Trainer) Step(ctx context.Context, parts ...[]data.Sample) (*Report, error) {
	if err := t.made(); err != nil {
		return nil, err
	}
	own := t.checkParts(parts)
	if t.peers != nil { // all stop before the same step
		own, ctx = cmp.Or(own, ctx.Err()), context.WithoutCancel(ctx)
	}
	return t.step(ctx, own, parts...)
}

// checkParts refuses samples that cannot be trained on.
func (t *Trainer) checkParts(parts [][]data.Sample) error {
	for _, part := range parts {
		for _, s := range part {
			if err := s.Check(len(t.config.Classes)); err != nil {
				return err
			}
		}
		if err := checkMemory(t.config, t.options.maxBytes(t.device), part); err != nil {
			return err
		}
	}
	return nil
}

// step is Step unless this process has an error, which all must return.
func (t *Trainer) step(ctx context.Context, own error, parts ...[]data.Sample) (*Report, error) {
	batches, err := t.wholeBatches(ctx, parts, own)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, b := range batches {
		all = append(all, b.IDs...)
	}
	r := &Report{Step: t.steps, Rate: t.options.Rate * t.options.Schedule.Factor(t.steps), Pictures: len(all)}
	err = torch.Do(ctx, func(s *torch.Scope) error {
		defer t.graphs.enter()()
		defer t.clearGrads()
		before, done := t.passing(s), false
		defer func() {
			if !done {
				t.undo(before)
			}
		}()
		for i, part := range parts {
			if err := ctx.Err(); err != nil {
				return err
			}
			mark := s.Mark()
			losses, err := t.accumulate(ctx, s, part, batches[i], 1/float64(len(parts)))
			if err != nil {
				return err
			}
			r.add(losses)
			s.Release(mark)
		}
		if t.peers != nil {
			if err := t.sumGrads(ctx, s); err != nil {
				return err
			}
		}
		defer trace.StartRegion(ctx, "train: optimizer").End()
		err := t.update(r, all)
		done = err == nil
		return err
	})
	if err != nil {
		if errors.Is(err, torch.ErrOutOfMemory) {
			t.graphs.drop()
		}
		return nil, t.outOfMemory(err, parts...)
	}
	t.steps++
	t.samples += int64(len(all))
	return r, nil
}

// update moves the parameters along the gradients that the replicas have accumulated.
func (t *Trainer) update(r *Report, samples []string) error {
	t.gather()
	if t.scale != nil {
		t.scale.unscale(t.store.Parameters())
	}
	r.Norm = nn.ClipNorm(t.store.Parameters(), t.options.Clip)
	if t.scale != nil {
		r.Skipped = t.scale.after(finite(r.Norm))
	}
	switch {
	case r.Skipped:
		return nil
	case !finite(r.Norm):
		return notFinite("gradient", -1, samples, r.Norm)
	}
	if t.peers == nil {
		t.reserve()
	}
	t.optimizer.Step(r.Rate)
	if t.average != nil {
		t.average.Update()
	}
	return nil
}

// reserve makes a GPU that is out of memory say so before the optimiser has moved a part of the parameters: what it needs
// meanwhile is at most another tensor of each one's size, which LibTorch keeps for it. One of several processes says so while the
// others can still agree on it.
func (t *Trainer) reserve() {
	if !t.device.IsCUDA() {
		return
	}
	n := 0
	for _, p := range t.store.Parameters() {
		if p.Tensor.RequiresGrad() {
			n += p.Tensor.Elements()
		}
	}
	(*torch.Scope)(nil).Empty(torch.Options{DType: t.options.dtype(), Device: t.device}, n).Close()
}

// accumulate adds the gradient of share times the objective of samples to the gradients
// of the replicas, each of which takes a part of the samples. It returns share times the losses.
func (t *Trainer) accumulate(ctx context.Context, s *torch.Scope, samples []data.Sample, whole wholeBatch, share float64) ([]Loss, error) {
	if t.peers != nil {
		return t.accumulateTogether(ctx, s, samples, whole, share)
	}
	passes := t.passes(s, t.noise(samples, whole))
	defer closeScopes(passes, s)
	if err := t.each(ctx, passes, func(_ int, p *pass) error { return t.predict(ctx, p) }); err != nil {
		return nil, err
	}
	common := t.settle(t.totals(passes), whole)
	losses := make([][]Loss, len(passes))
	err := t.each(ctx, passes, func(i int, p *pass) (err error) {
		losses[i], err = t.learn(ctx, p, common, share)
		return err
	})
	if err != nil {
		return nil, err
	}
	t.after(t.replicas[:len(passes)])
	for _, part := range losses[1:] {
		addLosses(losses[0], part)
	}
	return losses[0], nil
}

// passes shares a batch out to as many replicas as it has pictures for. A single
// replica works in s; several have scopes of their own, which live through both phases.
func (t *Trainer) passes(s *torch.Scope, n noised) []*pass {
	if t.team == nil {
		return []*pass{{replica: t.replicas[0], noised: n, scope: s}}
	}
	active := t.replicas[:min(len(t.replicas), len(n.samples))]
	t.before(active)
	group := torch.NewSyncGroup(len(active))
	out := make([]*pass, len(active))
	for i, r := range active {
		r.join(group, i, t.options.SyncBatchNorm)
		out[i] = &pass{replica: r, noised: n.part(i, len(active)), scope: torch.NewScope(), group: group}
	}
	return out
}

// closeScopes frees what passes left in scopes other than s.
func closeScopes(passes []*pass, s *torch.Scope) {
	for _, p := range passes {
		if p.scope != s {
			p.scope.Close()
		}
	}
}

// settle derives from the totals of all passes what their losses have in common.
func (t *Trainer) settle(totals []stageTotals, whole wholeBatch) []settled {
	t.drawFor(drawClasses, whole.number)
	return t.options.Objective.settle(totals, t.options.Draws)
}

// totals adds up the matches of all passes.
func (t *Trainer) totals(passes []*pass) []stageTotals {
	classes := len(t.config.Classes)
	totals := make([]stageTotals, len(passes[0].pairs))
	for k := range totals {
		totals[k] = passes[0].pairs[k].totals(classes)
		for _, p := range passes[1:] {
			totals[k].add(p.pairs[k].totals(classes))
		}
	}
	return totals
}

// each runs one phase of all passes side by side, each on its replica's own worker, and
// waits for all. A pass that fails ends the waiting of the others for it; the error of
// the first one that failed is returned.
func (t *Trainer) each(ctx context.Context, passes []*pass, phase func(i int, p *pass) error) error {
	if t.team == nil {
		return phase(0, passes[0])
	}
	var failed atomic.Int32 // the first that did, counted from 1
	errs := t.team.Do(ctx, len(passes), func(i int, _ *torch.Scope) (err error) {
		finished := false
		defer func() {
			if !finished || err != nil {
				failed.CompareAndSwap(0, int32(i+1))
				passes[i].group.Abort()
			}
		}()
		err = phase(i, passes[i])
		finished = true
		return err
	})
	if i := failed.Load(); i > 0 {
		return errs[i-1]
	}
	return errs[0] // nil, or the error of ctx, which is the same for all
}
