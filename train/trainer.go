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
	replicas  []*replica
	team      *torch.Team // nil with one replica
	scale     *lossScale  // nil but in float16
}

// Report is what a step did.
type Report struct {
	Step   int     // of the run, from 0
	Losses []Loss  // as they enter the sum, the last stage's first
	Total  float64 // their sum
	Norm   float64 // of the whole gradient, before clipping
	Rate   float64 // learning rate
	// Skipped says that the gradient overflowed, which happens in float16: no
	// parameter was moved, and the next step scales the losses by less.
	Skipped bool
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
	if o.Replicas > 1 && device.IsCUDA() {
		return nil, fmt.Errorf("train: options: %d replicas on %v: only the CPU is shared", o.Replicas, device)
	}
	if o.Precision == torch.Float16 && !device.IsCUDA() {
		return nil, fmt.Errorf("train: options: float16 on %v: bfloat16 is the CPU's", device)
	}
	t := &Trainer{config: c, options: o, device: device, release: torch.CacheMemory()}
	if o.Precision == torch.Float16 {
		t.scale = &lossScale{Value: scaleStart}
	}
	err = torch.Do(ctx, func(s *torch.Scope) error {
		t.store = nn.NewStore(source, t.storeOptions())
		var err error
		if t.network, err = diffusioninst.NewNetwork(t.store.Root(), c); err == nil {
			err = t.store.Err()
		}
		if err != nil {
			t.store.Close()
			return err
		}
		t.prepare()
		if err := t.replicate(); err != nil {
			t.close()
			return err
		}
		return nil
	})
	if err != nil {
		t.release()
		return nil, err
	}
	return t, nil
}

func (t *Trainer) storeOptions() nn.StoreOptions {
	return nn.StoreOptions{Device: t.device, DType: t.options.dtype(), Compute: t.options.Precision, Eager: t.options.Eager}
}

// prepare says what learns.
func (t *Trainer) prepare() {
	t.teach(&replica{store: t.store})
	if b, ok := t.network.Backbone.(backbone.Stochastic); ok {
		b.Reseed(t.options.Seed)
	}
	t.optimizer = t.options.Optimizer(t.options.groups(t.store.Parameters()))
	if t.options.EMA > 0 {
		t.average = nn.NewEMA(t.store, t.options.EMA)
	}
}

// teach says what learns in a replica.
func (t *Trainer) teach(r *replica) {
	for _, p := range r.store.Parameters() {
		if t.options.frozen(p.Name) {
			p.Tensor.SetRequiresGrad(false)
		}
	}
	for _, n := range r.store.Norms() {
		n.Training = !t.options.frozen(n.Name)
	}
}

// Close frees the trainer's memory.
func (t *Trainer) Close() {
	t.close()
	t.release()
}

func (t *Trainer) close() {
	t.closeReplicas()
	t.optimizer.Close()
	if t.average != nil {
		t.average.Close()
	}
	t.store.Close()
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
		defer t.clearGrads()
		for _, part := range parts {
			if err := ctx.Err(); err != nil {
				return err
			}
			mark := s.Mark()
			losses, err := t.accumulate(ctx, s, part, 1/float64(len(parts)))
			if err != nil {
				return err
			}
			r.add(losses)
			s.Release(mark)
		}
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
func (t *Trainer) accumulate(ctx context.Context, s *torch.Scope, samples []data.Sample, share float64) ([]Loss, error) {
	n := t.noise(samples)
	if t.team != nil {
		return t.sideBySide(ctx, n, share)
	}
	return t.learn(s, t.replicas[0], n, share, func(m []*matches) error {
		t.settle([][]*matches{m})
		return nil
	})
}

// settle tells the parts of a batch what they have in common.
func (t *Trainer) settle(parts [][]*matches) { t.options.Objective.settle(parts, t.options.Draws) }

// learn adds the gradient of share times the objective of pictures in a replica.
// settle is called with the matches of all stages, before the losses.
func (t *Trainer) learn(s *torch.Scope, r *replica, n noised, share float64, settle func([]*matches) error) (losses []Loss, err error) {
	torch.WithGrad(func() {
		var terms []term
		if terms, err = t.forward(s, r, n, settle); err != nil {
			return
		}
		values := make([]*torch.Tensor, len(terms))
		for i, term := range terms {
			values[i] = term.value
		}
		stacked := torch.Stack(values, 0).MulScalar(share)
		for i, v := range torch.Values[float64](stacked.Detach()) {
			if !finite(v) {
				err = &NotFiniteError{terms[i].loss, terms[i].stage, ids(n.samples), v}
				return
			}
			losses = append(losses, Loss{terms[i].name(), v})
		}
		sum := stacked.Sum()
		if t.scale != nil {
			sum = sum.MulScalar(t.scale.Value)
		}
		sum.Backward()
	})
	return losses, err
}

// forward runs a replica's network on noised ground truths and returns the losses.
func (t *Trainer) forward(s *torch.Scope, r *replica, n noised, settle func([]*matches) error) ([]term, error) {
	net, o := r.network, t.options.Objective
	b := newBatch(s, n, t.config.Input, net.Backbone.Strides()[0], t.device)
	start := torch.From(s, n.boxes, int64(len(n.samples)), int64(t.config.Proposals), 4).To(t.device)
	levels := net.Backbone.Forward(b.input.ToDType(t.options.dtype()))
	features := net.Branch.Forward(levels)
	for i, level := range levels {
		levels[i] = exact(level)
	}
	stages, err := net.Decoder.Forward(levels, start, n.times, true)
	if lost := (*decoder.NotFiniteError)(nil); errors.As(err, &lost) {
		return nil, &NotFiniteError{"prediction", lost.Stage, ids(n.samples), math.NaN()}
	}
	if err != nil {
		return nil, err
	}
	found := o.matches(b, stages)
	if err := settle(found); err != nil {
		return nil, err
	}
	return o.terms(b, t.config.MaskHead, features, stages, found), nil
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
