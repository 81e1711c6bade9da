package train

import (
	"context"
	"errors"
	"math"
	"runtime/trace"

	"github.com/diffusioninst/go/decoder"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
	"github.com/diffusioninst/go/train/data"
)

// A pass is the way of one replica's part of a batch through a training step. It has
// two phases: predict runs the network and matches its predictions with the ground
// truths; learn, given what settle found over all replicas, computes the losses and
// their gradients. In between, the predictions and the graph of gradients live in scope.
type pass struct {
	replica *replica
	scope   *torch.Scope
	group   *torch.SyncGroup // of all replicas in this step; nil for a single one
	noised  noised

	batch    *batch
	features *torch.Tensor // mask features (B,C,h,w)
	cut      *cut          // nil if there are no graphs for it
	stages   []decoder.Output
	finite   *torch.Tensor   // bool (Stages) on a GPU; see decoder.Refine
	pairs    []*matchedPairs // of the supervised stages, in the objective's order
}

// predict is the first phase: the forward pass and the matching of every supervised stage.
func (t *Trainer) predict(ctx context.Context, p *pass) (err error) {
	torch.WithGrad(func() {
		region := trace.StartRegion(ctx, "train: forward")
		err = t.forward(ctx, p)
		region.End()
	})
	if err != nil {
		return err
	}
	defer trace.StartRegion(ctx, "train: match").End()
	p.pairs, err = t.options.Objective.match(p.batch, p.stages, p.finite)
	return named(err, p.noised.samples)
}

// forward runs the network on noised ground truths.
func (t *Trainer) forward(ctx context.Context, p *pass) error {
	s, n, net := p.scope, p.noised, p.replica.network
	p.batch = newBatch(s, n, t.config.Input, net.Backbone.Strides()[0]/net.Branch.Upsample, t.options.Objective.MaskCoverage, t.device, t.fuses())
	d := t.diffusion()
	x, boxes := p.batch.input.ToDType(t.options.dtype()), func() *torch.Tensor { return d.rows(s, n.boxes).To(t.device) }
	if t.graphs != nil && t.options.OwnSteps == 0 && d.filters == 0 && d.told == 0 { // pixels and boxes are all that it depends on
		return t.forwardAtOnce(p, x, boxes())
	}
	levels, err := t.pyramid(p, x)
	if err != nil {
		return err
	}
	if err := t.estimateFirst(ctx, p, levels); err != nil {
		return err
	}
	p.stages, p.finite, err = net.Decoder.Refine(levels, boxes(), d.filterRows(s, n.filters, t.device), d.toldRows(s, n.told, t.device), n.times, true)
	return named(err, n.samples)
}

// named names the samples in a decoder's error.
func named(err error, samples []data.Sample) error {
	if lost := (*nn.NotFiniteError)(nil); errors.As(err, &lost) {
		return notFinite(lost.Where, lost.Stage, ids(samples), lost.Value)
	}
	return err
}

// learn is the second phase: it adds the gradient of share times the objective to the
// replica's parameters and returns share times each of the losses.
func (t *Trainer) learn(ctx context.Context, p *pass, common []settled, share float64) (losses []Loss, err error) {
	torch.WithGrad(func() {
		region := trace.StartRegion(ctx, "train: losses")
		terms, values := t.losses(p, common, share)
		sum := values.Sum()
		if t.scale != nil {
			sum = sum.MulScalar(t.scale.Value)
		}
		region.End()
		defer trace.StartRegion(ctx, "train: backward").End()
		sum.Backward()
		t.graphs.backward(p)
		// Only now, so that a GPU has the backward pass to do meanwhile.
		for i, v := range torch.Values[float64](values.Detach()) {
			if !finite(v) {
				losses, err = nil, notFinite(terms[i].loss, terms[i].stage, ids(p.noised.samples), v)
				return
			}
			losses = append(losses, Loss{terms[i].name(), v})
		}
	})
	return losses, err
}

// losses computes share times the objective, term by term.
func (t *Trainer) losses(p *pass, common []settled, share float64) ([]term, *torch.Tensor) {
	o := t.options.Objective
	if p.batch.targets != nil {
		return o.terms(len(p.stages)), o.fused(p, t.config.MaskHead, common, share)
	}
	return o.terms(len(p.stages)), o.composed(p, t.config.MaskHead, common, share)
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
