package train

import (
	"cmp"
	"errors"
	"fmt"
	"math"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/internal/detectron2"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
	"github.com/diffusioninst/go/train/data"
)

// A Recipe is how a Detectron2 YAML file of the official project wants a model trained;
// diffusioninst.LoadConfig reads the model in it.
type Recipe struct {
	Options   Options
	Batch     int               // pictures of a step
	Augment   data.Augmentation // what happens to them
	CopyPaste float64           // share of samples that get objects of others; see data.LoaderOptions
	Weights   string            // file to start from, as written; may be empty
	Steps     int               // of the whole run
	// Steps in which the learning rate rises to its full height; SetSteps may shorten it.
	WarmupSteps              int
	SaveEvery, EvaluateEvery int     // as in Run: SaveEvery is negative if the file wants one checkpoint, at the end
	Detections               int     // of a picture that count in an evaluation
	RepeatThreshold          float64 // above 0 shows pictures of rare classes more often; see data.RepeatFactors
	FilterEmpty              bool    // pictures without objects are left out
	GroupAspects             bool    // batches are of wide pictures or of tall ones
	Workers                  int     // that read pictures
	CuDNNBenchmark           bool    // wants torch.BenchmarkCuDNN
	// Settings are the values of the file's keys that change what is learned, for Run.Settings.
	Settings map[string]string

	solver detectron2.Solver
}

// LoadRecipe reads the recipe of a file. Like the official trainer it decays norms and biases as
// everything else, whatever the file says. Weights of a federated loss are not in the
// file: they are the square roots of images, the number of training pictures that
// show each class, which only such a file needs. SOLVER.AMP is bfloat16 (Options.Precision).
func LoadRecipe(path string, images []int) (*Recipe, error) {
	d, _, err := detectron2.Load(path)
	if err != nil {
		return nil, err
	}
	return recipe(d, images)
}

// NewRecipe is LoadRecipe for a file that diffusioninst.OpenConfig has read.
func NewRecipe(f *diffusioninst.ConfigFile, images []int) (*Recipe, error) {
	if f == nil {
		return nil, errors.New("train: there is no configuration")
	}
	d, ok := f.Sys().(*detectron2.Config)
	if !ok || d == nil {
		return nil, errors.New("train: the configuration was not read by diffusioninst.OpenConfig")
	}
	return recipe(d, images)
}

func recipe(d *detectron2.Config, images []int) (*Recipe, error) {
	o, err := options(d, images)
	if err != nil {
		return nil, err
	}
	r := &Recipe{
		Options: o, Batch: d.Solver.ImsPerBatch, Augment: augmentation(d.Input), CopyPaste: d.Input.CopyPaste, Weights: d.Model.Weights,
		Steps: d.Solver.MaxIter, WarmupSteps: d.Solver.WarmupIters, SaveEvery: cmp.Or(d.Solver.CheckpointPeriod, -1), EvaluateEvery: d.Test.EvalPeriod, Detections: d.Test.DetectionsPerImage,
		FilterEmpty: d.DataLoader.FilterEmptyAnnotations, GroupAspects: d.DataLoader.AspectRatioGrouping, Workers: d.DataLoader.NumWorkers,
		CuDNNBenchmark: d.CuDNNBenchmark, Settings: learned(d), solver: d.Solver,
	}
	if d.DataLoader.SamplerTrain == "RepeatFactorTrainingSampler" {
		r.RepeatThreshold = d.DataLoader.RepeatThreshold
	}
	return r, nil
}

// SetSteps makes the run longer or shorter than the file says. A cosine schedule ends
// with the run, and its warm-up takes at most a fifth of it; the warm-up and milestones of
// another one stay where they are, so that a run which goes on longer is the same run.
func (r *Recipe) SetSteps(n int) error {
	if r == nil {
		return errors.New("train: the Recipe is nil")
	}
	solver := r.solver
	solver.MaxIter = n
	if solver.LRScheduler == "WarmupCosineLR" {
		solver.WarmupIters = min(solver.WarmupIters, n/5)
	}
	schedule, err := schedule(solver)
	if err != nil {
		return err
	}
	r.Steps, r.WarmupSteps, r.Options.Schedule = n, solver.WarmupIters, schedule
	return nil
}

func options(d *detectron2.Config, images []int) (Options, error) {
	head, solver := d.Model.DiffusionInst, d.Solver
	o := Options{
		Objective: Objective{
			ClassWeight: orNone(head.ClassWeight), L1Weight: orNone(head.L1Weight), GIoUWeight: orNone(head.GIoUWeight),
			Alpha: orNone(head.Alpha), Gamma: orNone(head.Gamma), NoFocal: !head.UseFocal, BestIoUs: head.OTAK, LastStage: !head.DeepSupervision,
			MaskCoverage: head.MaskCoverage, ScoreTarget: scoreTargets[head.ScoreTarget],
		},
		OwnSteps: head.OwnSteps, Rate: solver.BaseLR, Decay: orNone(solver.WeightDecay), BackboneRate: orNone(solver.BackboneMultiplier),
		Clip: -1, Frozen: []string{}, Seed: uint64(max(d.Seed, 0)),
		SyncBatchNorm: d.Model.ResNets.Norm == "SyncBN",
	}
	if solver.AMP.Enabled {
		o.Precision = torch.BFloat16
	}
	if head.UseFedLoss {
		o.Objective.Federated = &Federated{Weights: powers(images, d.Model.ROIBoxHead.FedLossFreqWeightPower), Classes: d.Model.ROIBoxHead.FedLossNumClasses}
	}
	if d.Model.Backbone.Name == detectron2.ResNetFPN {
		o.Frozen = FreezeStages(d.Model.Backbone.FreezeAt)
	}
	o.Frozen = append(o.Frozen, solver.Frozen...)
	if c := solver.ClipGradients; c.Enabled {
		if c.ClipType != "full_model" || c.NormType != 2 {
			return o, fmt.Errorf("train: SOLVER.CLIP_GRADIENTS: %s with norm %v: only full_model with norm 2 is possible here", c.ClipType, c.NormType)
		}
		o.Clip = c.ClipValue
	}
	if solver.Optimizer == "SGD" {
		sgd := nn.SGDOptions{Momentum: solver.Momentum, Nesterov: solver.Nesterov}
		o.Optimizer = func(groups []nn.ParamGroup) nn.Optimizer { return nn.NewSGD(groups, sgd) }
	}
	if d.ModelEMA.Enabled {
		o.EMA = d.ModelEMA.Decay
	}
	var err error
	o.Schedule, err = schedule(solver)
	return o, err
}

// scoreTargets are the values of SCORE_TARGET.
var scoreTargets = map[string]ScoreTarget{"one": ScoreOne, "mask": ScoreMaskIoU, "box": ScoreBoxIoU}

func schedule(solver detectron2.Solver) (nn.LRSchedule, error) {
	w := nn.Warmup{Steps: solver.WarmupIters, From: solver.WarmupFactor}
	switch solver.LRScheduler {
	case "WarmupMultiStepLR":
		w.Schedule = nn.MultiStep{Milestones: solver.Steps, Gamma: solver.Gamma}
	case "WarmupCosineLR":
		c := nn.Cosine{Steps: solver.MaxIter}
		if solver.BaseLR > 0 {
			c.End = solver.BaseLREnd / solver.BaseLR
		}
		w.Schedule = c
	default:
		return nil, fmt.Errorf("train: SOLVER.LR_SCHEDULER_NAME: %q: want WarmupMultiStepLR or WarmupCosineLR", solver.LRScheduler)
	}
	if solver.WarmupMethod == "constant" {
		after := w.Schedule
		return nn.LRScheduleFunc(func(step int) float64 {
			if step < w.Steps {
				return w.From * after.Factor(0)
			}
			return after.Factor(step)
		}), nil
	}
	return w, nil
}

// orNone is a setting of Options that means none where it is 0.
func orNone(v float64) float64 {
	if v == 0 {
		return -1
	}
	return v
}

// powers are the weights of a federated loss.
func powers(images []int, power float64) []float32 {
	out := make([]float32, len(images))
	for i, n := range images {
		out[i] = float32(math.Pow(float64(n), power))
	}
	return out
}
