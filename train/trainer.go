package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/diffusioninst/go/backbone"
	"github.com/diffusioninst/go/decoder"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
	"github.com/diffusioninst/go/train/data"
)

// Trainer is a network that learns. One goroutine at a time may use it.
type Trainer struct {
	config    diffusioninst.Config
	options   Options
	device    torch.Device
	store     *nn.Store
	network   *diffusioninst.Network
	optimizer nn.Optimizer
	average   *nn.EMA // nil without Options.EMA
	steps     int
	release   func() // of cached memory
}

// Report is what a step did.
type Report struct {
	Step   int     // of the run, from 0
	Losses []Loss  // as they enter the sum, the last stage's first
	Total  float64 // their sum
	Norm   float64 // of the whole gradient, before clipping
	Rate   float64 // learning rate
}

// Loss is one term of the objective.
type Loss struct {
	Name  string // loss_ce, loss_bbox, loss_giou or loss_masks, of earlier stages with _0, _1 …
	Value float64
}

// NotFiniteError says that training went astray: a loss, a prediction or the gradient is
// NaN or infinite. No parameter was moved, but running means of batch norms may
// have been.
type NotFiniteError struct {
	Loss    string // such as loss_giou; "prediction" or "gradient" where no loss is to blame
	Stage   int    // of the decoder, from 0; −1 for the gradient
	Samples []string
	Value   float64
}

func (e *NotFiniteError) Error() string {
	where := ""
	if e.Stage >= 0 {
		where = fmt.Sprintf(" of stage %d", e.Stage)
	}
	return fmt.Sprintf("train: %s%s is %v on samples %s", e.Loss, where, e.Value, strings.Join(e.Samples, ", "))
}

// New makes a trainer of the model that c describes, whose parameters start as the
// source has them; see nn.FromSeed and nn.FromCheckpoint. Parameters that do not fit
// are a *nn.LoadError.
func New(ctx context.Context, c diffusioninst.Config, source nn.Source, device torch.Device, o Options) (*Trainer, error) {
	c, err := c.WithDefaults()
	if err != nil {
		return nil, err
	}
	if o, err = o.withDefaults(len(c.Classes)); err != nil {
		return nil, err
	}
	if err := device.Check(); err != nil {
		return nil, err
	}
	t := &Trainer{config: c, options: o, device: device, release: torch.CacheMemory()}
	err = torch.Do(ctx, func(s *torch.Scope) error {
		t.store = nn.NewStore(source, nn.StoreOptions{Device: device, DType: t.options.dtype()})
		var err error
		if t.network, err = diffusioninst.NewNetwork(t.store.Root(), c); err == nil {
			err = t.store.Err()
		}
		if err != nil {
			t.store.Close()
			return err
		}
		t.prepare()
		return nil
	})
	if err != nil {
		t.release()
		return nil, err
	}
	return t, nil
}

// prepare says what learns.
func (t *Trainer) prepare() {
	for _, p := range t.store.Parameters() {
		if t.options.frozen(p.Name) {
			p.Tensor.SetRequiresGrad(false)
		}
	}
	for _, n := range t.store.Norms() {
		n.Training = !t.options.frozen(n.Name)
	}
	if b, ok := t.network.Backbone.(backbone.Stochastic); ok {
		b.Reseed(t.options.Seed)
	}
	t.optimizer = t.options.Optimizer(t.options.groups(t.store.Parameters()))
	if t.options.EMA > 0 {
		t.average = nn.NewEMA(t.store, t.options.EMA)
	}
}

// Close frees the trainer's memory.
func (t *Trainer) Close() {
	t.optimizer.Close()
	if t.average != nil {
		t.average.Close()
	}
	t.store.Close()
	t.release()
}

// Config is the model's configuration, with all defaults filled in.
func (t *Trainer) Config() diffusioninst.Config { return t.config }

// Step learns from a batch. A batch that is too large at once comes in parts, whose
// gradients are averaged. Samples that cannot be trained on are a *data.SampleError, values
// that are not finite a *NotFiniteError; neither moves a parameter.
func (t *Trainer) Step(ctx context.Context, parts ...[]data.Sample) (*Report, error) {
	var all []data.Sample
	for _, part := range parts {
		if len(part) == 0 {
			return nil, errors.New("train: a batch without samples")
		}
		all = append(all, part...)
	}
	for _, s := range all {
		if err := s.Check(len(t.config.Classes)); err != nil {
			return nil, err
		}
	}
	r := &Report{Step: t.steps, Rate: t.options.Rate * t.options.Schedule.Factor(t.steps)}
	err := torch.Do(ctx, func(s *torch.Scope) error {
		defer nn.ClearGrads(t.store.Parameters())
		for _, part := range parts {
			if err := ctx.Err(); err != nil {
				return err
			}
			mark := s.Mark()
			losses, err := t.accumulate(s, part, 1/float64(len(parts)))
			if err != nil {
				return err
			}
			r.add(losses)
			s.Release(mark)
		}
		r.Norm = nn.ClipNorm(t.store.Parameters(), t.options.Clip)
		if !finite(r.Norm) {
			return &NotFiniteError{"gradient", -1, ids(all), r.Norm}
		}
		t.optimizer.Step(r.Rate)
		if t.average != nil {
			t.average.Update()
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	t.steps++
	return r, nil
}

// add adds the losses of a part.
func (r *Report) add(losses []Loss) {
	if r.Losses == nil {
		r.Losses = losses
	} else {
		for i := range losses {
			r.Losses[i].Value += losses[i].Value
		}
	}
	for _, l := range losses {
		r.Total += l.Value
	}
}

// accumulate adds the gradient of share times the objective of samples.
func (t *Trainer) accumulate(s *torch.Scope, samples []data.Sample, share float64) (losses []Loss, err error) {
	torch.WithGrad(func() {
		var terms []term
		if terms, err = t.forward(s, samples); err != nil {
			return
		}
		values := make([]*torch.Tensor, len(terms))
		for i, term := range terms {
			values[i] = term.value
		}
		stacked := torch.Stack(values, 0).MulScalar(share)
		for i, v := range torch.Values[float64](stacked.Detach()) {
			if !finite(v) {
				err = &NotFiniteError{terms[i].loss, terms[i].stage, ids(samples), v}
				return
			}
			losses = append(losses, Loss{terms[i].name(), v})
		}
		stacked.Sum().Backward()
	})
	return losses, err
}

// forward runs the network on noised ground truths and returns the losses.
func (t *Trainer) forward(s *torch.Scope, samples []data.Sample) ([]term, error) {
	n := t.network
	b := newBatch(s, samples, t.config.Input, n.Backbone.Strides(), t.device)
	d := diffusion{t.config.Sampling.Schedule, t.config.SignalScale, t.config.Proposals}
	var boxes []float32
	var times []float64
	for _, sample := range samples {
		noisy, time := d.boxes(sample, t.options.Draws)
		boxes, times = append(boxes, noisy...), append(times, float64(time))
	}
	start := torch.From(s, boxes, int64(len(samples)), int64(d.proposals), 4).To(t.device)
	levels := n.Backbone.Forward(b.input.ToDType(t.options.dtype()))
	features := n.Branch.Forward(levels)
	stages, err := n.Decoder.Forward(levels, start, times, true)
	if lost := (*decoder.NotFiniteError)(nil); errors.As(err, &lost) {
		return nil, &NotFiniteError{"prediction", lost.Stage, ids(samples), math.NaN()}
	}
	if err != nil {
		return nil, err
	}
	return t.options.Objective.terms(b, t.config.MaskHead, features, stages, t.options.Draws), nil
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
