//go:build cgo

package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/picture"
	"github.com/diffusioninst/go/torch"
	"github.com/diffusioninst/go/torch/processes"
	"github.com/diffusioninst/go/train"
	"github.com/diffusioninst/go/train/data"
)

var precisions = map[string]torch.DType{"float32": torch.Float32, "bfloat16": torch.BFloat16, "float16": torch.Float16}

// mostSteps is more than any training run takes.
const mostSteps = 1_000_000_000

// check refuses values that the library would take for "use the default".
func (o *trainOptions) check() error {
	for name, value := range map[string]int{
		"steps": o.steps, "batch": o.batch, "accumulate": o.accumulate, "workers": o.workers,
		"threads": o.threads, "replicas": o.replicas, "processes": o.processes, "save-every": o.saveEvery, "eval-every": o.evalEvery,
	} {
		if o.set(name) && value < 1 {
			return fmt.Errorf("--%s %d: at least 1 is required", name, value)
		}
	}
	if o.steps > mostSteps {
		return fmt.Errorf("--steps %d: at most %d", o.steps, mostSteps)
	}
	if o.processes > processes.MostProcesses {
		return fmt.Errorf("--processes %d: at most %d", o.processes, processes.MostProcesses)
	}
	if o.processesTimeout <= 0 {
		return fmt.Errorf("--processes-timeout %v: a time above 0 is required", o.processesTimeout)
	}
	if err := checkThreads(o.threads); err != nil {
		return err
	}
	for _, n := range o.evalSteps {
		if n < 1 {
			return fmt.Errorf("--eval-steps %d: at least 1 is required", n)
		}
	}
	if _, ok := precisions[o.precision]; o.set("precision") && !ok {
		return fmt.Errorf("--precision %s: not float32, bfloat16 or float16", o.precision)
	}
	return o.annotationFlags.check()
}

// A trainPlan is what flags and configuration ask for.
type trainPlan struct {
	set    *data.COCO // as the file has it
	data   data.Dataset
	config diffusioninst.Config
	recipe *train.Recipe
	loader data.LoaderOptions
	choice string // flags that say what is read of the files
}

// String describes the data and its order. A resumed run must have the same.
func (p *trainPlan) String() string {
	text := fmt.Sprintf("%d pictures of %d classes in batches of %d, seed %d", p.data.Len(), len(p.config.Classes), p.loader.Batch, p.loader.Seed)
	if p.choice != "" {
		text += ", " + p.choice
	}
	return text
}

// settings returns what else the run depends on.
func (p *trainPlan) settings() map[string]string {
	out := maps.Clone(p.recipe.Settings)
	delete(out, "SOLVER.AMP.ENABLED")
	out["precision"] = cmp.Or(p.recipe.Options.Precision, torch.Float32).String()
	return out
}

// plan reads what a run needs. warn says what all processes see, and own what this one does.
func (o *trainOptions) plan(ctx context.Context, warn, own func(string, ...any), remark func(string, *picture.Picture)) (*trainPlan, error) {
	choice, err := o.pictures.one()
	if err != nil {
		return nil, err
	}
	annotations := o.options(picturesOf(o.images, o.train), true, warn)
	annotations.Split, annotations.Limit = "train", 0
	set, err := await(ctx, func() (*data.COCO, error) { return data.Open(o.train, annotations) })
	if err != nil {
		return nil, o.explain(err)
	}
	p := &trainPlan{set: set, data: set, choice: o.pictures.String()}
	file, err := diffusioninst.OpenConfig(o.config)
	if err != nil {
		return nil, err
	}
	for _, w := range file.Warnings {
		warn("%s", w)
	}
	p.config = file.Config
	if have, want := len(p.config.Classes), len(set.Classes()); have != want {
		warn("%s is for %d classes, but %s has %d: the model gets the data set's", o.config, have, o.train, want)
	}
	p.config.Classes = set.Classes()
	if o.norm != "" {
		p.config.Input.Normalize = picture.Normalize(o.norm)
	}
	if err := p.config.Input.Normalize.Check(); err != nil {
		return nil, err
	}
	choice.Normalize = p.config.Input.Normalize
	set.Pictures(choice, remark)
	counts, err := data.ClassCounts(ctx, set)
	if err != nil {
		return nil, err
	}
	if p.recipe, err = train.NewRecipe(file, counts); err != nil {
		return nil, err
	}
	warmup := p.recipe.WarmupSteps
	if err := o.override(p.recipe); err != nil {
		return nil, err
	}
	if p.recipe.WarmupSteps < warmup {
		warn("the warm-up takes %s instead of the %d of %s, a fifth of the run", counted(p.recipe.WarmupSteps, "step"), warmup, o.config)
	}
	if peak := highestRate(p.recipe.Options.Schedule, p.recipe.Steps); peak < 0.5 {
		warn("in this run of %s the learning rate reaches only %.2g%% of SOLVER.BASE_LR, so it hardly learns: raise --steps or lower SOLVER.WARMUP_ITERS of %s",
			counted(p.recipe.Steps, "step"), 100*peak, o.config)
	}
	if p.recipe.Batch%o.accumulate != 0 {
		return nil, fmt.Errorf("--accumulate %d: a batch of %d pictures cannot be divided into so many equal parts", o.accumulate, p.recipe.Batch)
	}
	p.loader = data.LoaderOptions{
		Batch: p.recipe.Batch / o.accumulate, Augment: p.recipe.Augment, CopyPaste: p.recipe.CopyPaste, Seed: p.recipe.Options.Seed,
		GroupAspects: p.recipe.GroupAspects, Workers: p.recipe.Workers,
	}
	if p.recipe.FilterEmpty {
		if p.data, err = data.NonEmpty(ctx, set); err != nil {
			return nil, err
		}
		switch n := p.data.Len(); {
		case n == 0:
			return nil, fmt.Errorf("%s: no picture has an object to learn from", o.train)
		case n < set.Len():
			warn("%s of %d without objects are left out (DATALOADER.FILTER_EMPTY_ANNOTATIONS)", counted(set.Len()-n, "picture"), set.Len())
		}
	}
	if p.recipe.RepeatThreshold > 0 {
		if p.loader.Repeat, err = data.RepeatFactors(ctx, p.data, p.recipe.RepeatThreshold); err != nil {
			return nil, err
		}
	}
	if o.onError == "skip" {
		reported := map[string]bool{} // a picture's turn comes in every epoch
		p.loader.OnError = func(err error) error {
			if text := err.Error(); !reported[text] {
				reported[text] = true
				own("skipped: %s", text)
			}
			return nil
		}
	}
	return p, nil
}

// highestRate returns the largest factor that a schedule has in a run, or the first above
// 0.9, so that it does not take longer than the warm-up.
func highestRate(s nn.LRSchedule, steps int) float64 {
	var most float64
	for step := 0; step < steps && most <= 0.9; step++ {
		most = max(most, s.Factor(step))
	}
	return most
}

// override replaces settings of the configuration by flags.
func (o *trainOptions) override(r *train.Recipe) error {
	if o.set("steps") {
		if err := r.SetSteps(o.steps); err != nil {
			return err
		}
	}
	var err error
	for name, set := range map[string]func(){
		"max-memory": func() { r.Options.MaxBytes, err = gibibytes(o.memory) },
		"batch":      func() { r.Batch = o.batch },
		"save-every": func() { r.SaveEvery = cmp.Or(o.saveEvery, -1) },
		"eval-every": func() { r.EvaluateEvery = o.evalEvery },
		"workers":    func() { r.Workers = o.workers },
		"seed":       func() { r.Options.Seed = o.seed },
		"graphs":     func() { r.Options.Graphs = o.graphs },
		"replicas":   func() { r.Options.Replicas = o.replicas },
		"precision":  func() { r.Options.Precision = precisions[o.precision] },
	} {
		if o.set(name) {
			set()
		}
	}
	return err
}

// start returns where the first parameters come from: a checkpoint, whose use is printed to
// out, or the seed. The caller calls done when the model has them.
func (o *trainOptions) start(ctx context.Context, p *trainPlan, out io.Writer) (source nn.Source, done func() error, err error) {
	path := cmp.Or(o.weights, p.recipe.Weights)
	seed := p.recipe.Options.Seed
	if path == "" || path == "none" || o.resume != "" {
		return nn.FromSeed(seed), func() error { return nil }, nil
	}
	found, err := o.pretrained(ctx, path, p.config, seed)
	if err != nil {
		if o.weights == "" {
			err = fmt.Errorf("MODEL.WEIGHTS of %s: %w (--weights FILE names another, --weights none starts from random weights)", o.config, err)
		}
		return nil, nil, err
	}
	found.Path = path
	fmt.Fprintln(out, found)
	sayWeights(out, found.Sets)
	return found, found.Close, nil
}

// pretrained finds the parameters of a model in a checkpoint: a file or one of builtins.
func (o *trainOptions) pretrained(ctx context.Context, weights string, c diffusioninst.Config, seed uint64) (*train.Pretrained, error) {
	r, builtin, err := openBuiltin(weights)
	if err != nil {
		return nil, err
	}
	var file *nn.Checkpoint
	if builtin {
		file, err = nn.ReadCheckpoint(r, r.Size())
	} else {
		file, err = nn.OpenCheckpoint(weights)
	}
	if err != nil {
		return nil, err
	}
	chosen, err := file.Weights(o.ema.EMAChoice, c.Averaged)
	if err == nil {
		var p *train.Pretrained
		if p, err = train.NewPretrained(ctx, chosen, c, seed); err == nil {
			return p, nil
		}
	}
	_ = file.Close()
	return nil, err
}
