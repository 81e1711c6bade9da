package train

import (
	"fmt"
	"math"
	"strings"

	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// Options are a training recipe. The zero value of a field means the paper's.
type Options struct {
	Objective Objective
	Rate      float64     // base learning rate, for a batch of 16: 2.5e-5
	Schedule  nn.Schedule // of the rate; nil rises over 1000 steps from 0.01 and stays
	// Optimizer moves the parameters; nil is nn.NewAdamW with its usual constants.
	Optimizer func(groups []nn.Group) nn.Optimizer
	// Weight decay: 1e-4; negative for none. That of norms and biases is the same
	// unless theirs is set.
	Decay, NormDecay, BiasDecay float64
	BackboneRate                float64 // multiplies the rate of the backbone: 1
	Clip                        float64 // greatest L2 norm of the whole gradient: 1; negative for none
	// EMA is the share of the averaged parameters that stays at a step, such as 0.999;
	// 0 keeps no average.
	EMA float64
	// Frozen names the parameters and norms that do not learn, by the start of a
	// name; nil is FreezeStages(2), an empty one lets everything learn.
	Frozen []string
	Seed   uint64 // of times, noise and stochastic depth
	Draws  Draws  // times and noise from elsewhere; nil is NewRandom(Seed)
	// Float64 keeps parameters and arithmetic in float64, for checking gradients.
	Float64 bool
}

// FreezeStages are the names of a ResNet's stem (n ≥ 1), its stage res2 (n ≥ 2), and so
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

func (o Options) withDefaults(classes int) (Options, error) {
	var err error
	if o.Objective, err = o.Objective.withDefaults(classes); err != nil {
		return o, err
	}
	set := func(field *float64, standard float64) {
		if *field == 0 {
			*field = standard
		}
		*field = max(*field, 0)
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
		o.Optimizer = func(groups []nn.Group) nn.Optimizer { return nn.NewAdamW(groups, nn.AdamWOptions{}) }
	}
	if o.Draws == nil {
		o.Draws = NewRandom(o.Seed)
	}
	if o.Frozen == nil {
		o.Frozen = FreezeStages(2)
	}
	for _, v := range []float64{o.Rate, o.Decay, o.NormDecay, o.BiasDecay, o.BackboneRate, o.Clip} {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return o, fmt.Errorf("train: options: a value of %v", v)
		}
	}
	if !(o.EMA >= 0 && o.EMA < 1) {
		return o, fmt.Errorf("train: options: EMA of %v: want at least 0 and less than 1", o.EMA)
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

// groups sorts the parameters that learn by how they learn.
func (o Options) groups(parameters []*nn.Parameter) []nn.Group {
	scales := map[string]bool{} // paths of norms
	for _, p := range parameters {
		if path, ok := strings.CutSuffix(p.Name, ".weight"); ok && p.Tensor.Dim() == 1 {
			scales[path] = true
		}
	}
	type kind struct{ rate, decay float64 }
	at := map[kind]int{}
	var out []nn.Group
	for _, p := range parameters {
		if p.Buffer || !p.Tensor.RequiresGrad() {
			continue
		}
		k := kind{1, o.Decay}
		if strings.HasPrefix(p.Name, "backbone.") {
			k.rate = o.BackboneRate
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
			out = append(out, nn.Group{Rate: k.rate, Decay: k.decay})
		}
		out[i].Parameters = append(out[i].Parameters, p)
	}
	return out
}
