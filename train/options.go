package train

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// Options are a training recipe. The zero value of a field means the paper's, a negative
// one none where that makes sense.
type Options struct {
	Objective Objective
	Rate      float64       // base learning rate, for a batch of 16: 2.5e-5
	Schedule  nn.LRSchedule // of the rate; nil rises over 1000 steps from 0.01 and stays
	// Optimizer moves the parameters; nil is nn.NewAdamW with its usual constants.
	Optimizer func(groups []nn.ParamGroup) nn.Optimizer
	// Weight decay: 1e-4; negative for none. That of norms and biases is the same
	// unless theirs is set.
	Decay, NormDecay, BiasDecay float64
	BackboneRate                float64 // multiplies the rate of the backbone: 1
	Clip                        float64 // greatest L2 norm of the whole gradient: 1; negative for none
	// EMA is the share of the averaged parameters that stays at a step, such as 0.999;
	// 0 keeps no average.
	EMA float64
	// Frozen names the parameters and norms that do not learn, by the start of a
	// name; nil is FreezeStages(2), an empty one lets everything learn. One that fits no parameter
	// is an error, except for a prefix of FreezeStages.
	Frozen []string
	// OwnSteps is the share of pictures, 0 to 1, that start as they do in sampling with several steps:
	// from what the model's own step, without gradients, makes of the noised ground truths of a
	// higher time, with the configuration's sampler and renewal. By default all start from noised
	// ground truths, as in the paper.
	OwnSteps float64
	Seed     uint64 // of times, noise and stochastic depth
	// Draws are times and noise from elsewhere. By default they derive from Seed and the number of
	// the sample in the run, so that they do not depend on Processes.
	Draws Draws
	// Processes are the processes that train this model together, each on its part of every batch; a
	// *processes.Group of package torch/processes is one. By default there are no others.
	Processes Processes
	// Replicas is how many networks over the same parameters learn side by side, each
	// from its part of a batch on its share of the CPU's cores: 1. Several use the cores
	// better, since small operators gain little from many; they take as much memory as
	// one does. Losses are normalised over the whole batch, whatever the parts. With several,
	// a resumed run equals an uninterrupted one up to rounding.
	Replicas int
	// MaxBytes is the most memory that a step may need by an estimate: one that needs more is
	// a *LimitError before it begins. The default on the CPU is 64 GiB, or
	// the limit of the process's container or job if that is less. There is none on a GPU, which
	// reports that it is full; negative for none.
	MaxBytes int64
	// SyncBatchNorm makes batch norms that learn see the pictures of all replicas. A
	// step is then the same, up to rounding, whatever the number of replicas (except for
	// stochastic depth, which each draws for itself). Otherwise they see their own
	// replica's, and the running statistics are the mean of the replicas'.
	SyncBatchNorm bool
	// Precision is the type in which convolutions and linear maps multiply:
	// torch.BFloat16, on a GPU torch.Float16, or, by default, torch.Float32.
	// Parameters, what the optimiser remembers, norms, softmax, boxes and losses stay in
	// float32 (mixed precision, Micikevicius et al. 2018). Bfloat16 has float32's range; in
	// float16 losses are scaled so that small gradients do not vanish, and steps that
	// overflow are left out.
	Precision torch.DType
	// Float64 keeps parameters and arithmetic in float64, for checking gradients.
	Float64 bool
	// Eager makes the network compute operator by operator as the reference's PyTorch
	// modules do, with their roundings; see nn.StoreOptions. It is slower, and for one replica
	// without mixed precision.
	Eager bool
	// Graphs makes a GPU record what comes before the matching, forward and backward, as CUDA graphs, which cost the host a
	// launch each instead of one per operator: for each of the first four shapes that batches have, when a shape comes
	// for the second time. Backbone, pyramid, mask branch and decoder are recorded; with OwnSteps, self-conditioning or filters in the
	// state all but the decoder. It needs LibTorch 2.1 or later, and is for one process with one worker (torch.SetWorkers). Stochastic depth is
	// drawn by the host: with a Swin Transformer nothing is recorded, which the default logger of log/slog says, as it does if
	// a backbone of your own cannot be recorded. Such a backbone must depend on nothing but its input.
	Graphs bool
}

// FreezeStages returns the names of a ResNet's stem (n ≥ 1), its stage res2 (n ≥ 2), and so
// on to res5, for Options.Frozen. No other backbone has such names.
func FreezeStages(n int) []string {
	out := []string{}
	for i := range min(n, 5) {
		stage := "stem"
		if i > 0 {
			stage = fmt.Sprintf("res%d", i+1)
		}
		out = append(out, "backbone.bottom_up."+stage+".")
	}
	return out
}

// maxReplicas bounds the replicas, each of which has a thread of its own.
const maxReplicas = 1024

func (o Options) withDefaults(classes int) (Options, error) {
	var err error
	if o.Objective, err = o.Objective.withDefaults(classes); err != nil {
		return o, err
	}
	if o.Rate < 0 || o.EMA >= 1 {
		return o, fmt.Errorf("train: options: a learning rate of %v, EMA of %v: want a positive rate, and less than 1", o.Rate, o.EMA)
	}
	o.EMA = max(o.EMA, 0)
	if o.OwnSteps = max(o.OwnSteps, 0); !(o.OwnSteps <= 1) {
		return o, fmt.Errorf("train: options: own steps for a share of %v of the pictures: want at most 1", o.OwnSteps)
	}
	set := func(field *float64, standard float64) {
		if *field == 0 {
			*field = standard
		}
		*field = max(*field, 0) // negative is none
	}
	set(&o.Rate, 2.5e-5)
	set(&o.Decay, 1e-4)
	set(&o.NormDecay, o.Decay)
	set(&o.BiasDecay, o.Decay)
	set(&o.BackboneRate, 1)
	set(&o.Clip, 1)
	if o.Schedule == nil {
		o.Schedule = nn.Warmup{Steps: 1000, From: 0.01}
	}
	if o.Optimizer == nil {
		o.Optimizer = func(groups []nn.ParamGroup) nn.Optimizer { return nn.NewAdamW(groups, nn.AdamWOptions{}) }
	}
	if err := o.checkProcesses(); err != nil {
		return o, err
	}
	if o.Draws == nil {
		o.Draws = newNumbered(o.Seed)
	}
	if o.Frozen == nil {
		o.Frozen = FreezeStages(2)
	}
	if o.Replicas < 0 || o.Replicas > maxReplicas {
		return o, fmt.Errorf("train: options: %d replicas: want at most %d", o.Replicas, maxReplicas)
	}
	o.Replicas = max(o.Replicas, 1)
	switch {
	case o.Precision == 0:
		o.Precision = o.dtype()
	case o.Float64 && o.Precision != torch.Float64, o.Precision != torch.Float32 && o.Precision != torch.BFloat16 && o.Precision != torch.Float16:
		return o, fmt.Errorf("train: options: a precision of %v: want float32, bfloat16 or float16, without Float64", o.Precision)
	}
	if o.Eager && (o.Replicas > 1 || o.Precision != o.dtype()) {
		return o, fmt.Errorf("train: options: eager with %d replicas and a precision of %v: want one replica and none", o.Replicas, o.Precision)
	}
	for _, v := range []float64{o.Rate, o.Decay, o.NormDecay, o.BiasDecay, o.BackboneRate, o.Clip, o.EMA} {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return o, fmt.Errorf("train: options: a value of %v", v)
		}
	}
	return o, nil
}

func (o Options) dtype() torch.DType {
	if o.Float64 {
		return torch.Float64
	}
	return torch.Float32
}

func (o Options) frozen(name string) bool {
	for _, prefix := range o.Frozen {
		if strings.HasPrefix(name+".", prefix) {
			return true
		}
	}
	return false
}

// checkFrozen refuses a prefix that is the start of no name, except for those of FreezeStages, which are for some
// backbones only, and prefixes that leave nothing to learn.
func (o Options) checkFrozen(s *nn.Store) error {
	if !slices.ContainsFunc(s.Parameters(), func(p *nn.Parameter) bool { return !p.Buffer && !o.frozen(p.Name) }) {
		return fmt.Errorf("train: options: frozen: %q fit all parameters, so that nothing is left to learn", o.Frozen)
	}
	for _, prefix := range o.Frozen {
		known := slices.Contains(FreezeStages(5), prefix)
		for _, p := range s.Parameters() {
			known = known || strings.HasPrefix(p.Name+".", prefix)
		}
		if !known {
			return fmt.Errorf("train: options: frozen: no parameter has a name that begins with %q", prefix)
		}
	}
	return nil
}

// groups sorts the parameters that learn by how they learn. Those of a rate of 0 are in none.
func (o Options) groups(parameters []*nn.Parameter) []nn.ParamGroup {
	scales := map[string]bool{} // paths of norms
	for _, p := range parameters {
		if path, ok := strings.CutSuffix(p.Name, ".weight"); ok && p.Tensor.Dim() == 1 {
			scales[path] = true
		}
	}
	type kind struct{ rate, decay float64 }
	at := map[kind]int{}
	var out []nn.ParamGroup
	for _, p := range parameters {
		if p.Buffer || !p.Tensor.RequiresGrad() {
			continue
		}
		k := kind{1, o.Decay}
		if strings.HasPrefix(p.Name, "backbone.") {
			k.rate = o.BackboneRate
		}
		if k.rate == 0 {
			continue
		}
		path := p.Name[:max(strings.LastIndexByte(p.Name, '.'), 0)]
		switch {
		case scales[path]:
			k.decay = o.NormDecay
		case strings.HasSuffix(p.Name, "bias"):
			k.decay = o.BiasDecay
		}
		i, ok := at[k]
		if !ok {
			i = len(out)
			at[k] = i
			out = append(out, nn.ParamGroup{Rate: k.rate, Decay: k.decay})
		}
		out[i].Parameters = append(out[i].Parameters, p)
	}
	return out
}
