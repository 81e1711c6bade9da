package train

import (
	"fmt"
	"math"

	"github.com/diffusioninst/go/internal/detectron2"
	"github.com/diffusioninst/go/nn"
)

// LoadOptions reads the recipe in a Detectron2 YAML file of the official project;
// diffusioninst.LoadConfig reads the model in it. Like the official trainer it decays
// norms and biases as everything else, whatever the file says. Weights of a
// federated loss are not in the file: they are the square roots of images, the number
// of training pictures that show each class, which only such a file needs. The whole
// number is the batch size that the learning rate is for.
func LoadOptions(path string, images []int) (Options, int, error) {
	d, _, err := detectron2.Load(path)
	if err != nil {
		return Options{}, 0, err
	}
	o, err := fromDetectron2(d, images)
	return o, d.Solver.ImsPerBatch, err
}

func fromDetectron2(d *detectron2.Config, images []int) (Options, error) {
	head, solver := d.Model.DiffusionInst, d.Solver
	o := Options{
		Objective: Objective{
			ClassWeight: head.ClassWeight, L1Weight: head.L1Weight, GIoUWeight: head.GIoUWeight,
			Alpha: head.Alpha, Gamma: head.Gamma, NoFocal: !head.UseFocal, BestIoUs: head.OTAK, LastStage: !head.DeepSupervision,
		},
		Rate: solver.BaseLR, Decay: orNone(solver.WeightDecay), BackboneRate: solver.BackboneMultiplier,
		Clip: -1, Frozen: []string{},
	}
	if head.UseFedLoss {
		o.Objective.Federated = &Federated{Weights: roots(images), Classes: d.Model.ROIBoxHead.FedLossNumClasses}
	}
	if d.Model.Backbone.Name == detectron2.ResNetFPN {
		o.Frozen = FreezeStages(d.Model.Backbone.FreezeAt)
	}
	if c := solver.ClipGradients; c.Enabled {
		if c.ClipType != "full_model" || c.NormType != 2 {
			return o, fmt.Errorf("train: SOLVER.CLIP_GRADIENTS: %s with norm %v: only full_model with norm 2 is possible here", c.ClipType, c.NormType)
		}
		o.Clip = c.ClipValue
	}
	if solver.Optimizer == "SGD" {
		sgd := nn.SGDOptions{Momentum: solver.Momentum, Nesterov: solver.Nesterov}
		o.Optimizer = func(groups []nn.Group) nn.Optimizer { return nn.NewSGD(groups, sgd) }
	}
	if d.ModelEMA.Enabled {
		o.EMA = d.ModelEMA.Decay
	}
	var err error
	o.Schedule, err = schedule(solver)
	return o, err
}

func schedule(solver detectron2.Solver) (nn.Schedule, error) {
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
		return nn.ScheduleFunc(func(step int) float64 {
			if step < w.Steps {
				return w.From * after.Factor(step)
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

func roots(images []int) []float32 {
	out := make([]float32, len(images))
	for i, n := range images {
		out[i] = float32(math.Sqrt(float64(n)))
	}
	return out
}
