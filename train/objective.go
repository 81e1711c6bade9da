package train

import (
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/maskhead"
	"github.com/diffusioninst/go/torch"
)

// An Objective is what training minimises: the weighted sum of four losses at every
// decoder stage, each summed over the matches of the batch and divided by their number.
// The zero value of a field means the paper's, a negative weight leaves its loss out.
type Objective struct {
	ClassWeight float64 // of the focal loss: 2
	L1Weight    float64 // of the boxes' L1 distance in picture sizes: 5
	GIoUWeight  float64 // of 1 − GIoU of the boxes: 2
	MaskWeight  float64 // of the masks' dice loss: 5
	Alpha       float64 // share of the positives in the focal loss: 0.25
	Gamma       float64 // exponent of the focal loss: 2
	NoFocal     bool    // plain binary cross entropy; only with Federated
	Federated   *Federated
	BestIoUs    int  // whose sum is the number of proposals a ground truth takes: 5
	LastStage   bool // losses of the last stage alone, no deep supervision
	// MaskCoverage makes the masks learn which part of each of the mask features' pixels an
	// object covers. Without it they learn, as in the paper, whether it covers the centre.
	MaskCoverage bool
	// ScoreTarget makes the class scores learn how good a proposal's mask or box is. The class loss
	// is then the quality focal loss (Li et al., arXiv 2006.04388) with Gamma, which has no Alpha.
	ScoreTarget ScoreTarget
	Extra       []StageLoss // terms of your own
	// Quirks makes matching drop a ground truth that loses its last proposal to
	// another, as the reference does.
	Quirks diffusioninst.Quirks
}

func (o Objective) withDefaults(classes int) (Objective, error) {
	for _, f := range []struct {
		name     string
		field    *float64
		standard float64
	}{
		{"class weight", &o.ClassWeight, 2}, {"L1 weight", &o.L1Weight, 5}, {"GIoU weight", &o.GIoUWeight, 2},
		{"mask weight", &o.MaskWeight, 5}, {"focal loss's alpha", &o.Alpha, 0.25}, {"focal loss's gamma", &o.Gamma, 2},
	} {
		if *f.field == 0 {
			*f.field = f.standard
		}
		if math.IsNaN(*f.field) || math.IsInf(*f.field, 0) {
			return o, fmt.Errorf("train: objective: the %s is %v", f.name, *f.field)
		}
		*f.field = max(*f.field, 0) // negative is none
	}
	if o.Alpha > 1 || o.ClassWeight+o.L1Weight+o.GIoUWeight+o.MaskWeight == 0 {
		return o, fmt.Errorf("train: objective: the focal loss's alpha is %v, the weights are %v, %v, %v and %v: want an alpha of at most 1 and a weight above 0",
			o.Alpha, o.ClassWeight, o.L1Weight, o.GIoUWeight, o.MaskWeight)
	}
	if err := errors.Join(o.ScoreTarget.check(), o.checkExtra()); err != nil {
		return o, err
	}
	if o.BestIoUs == 0 {
		o.BestIoUs = 5
	}
	if o.BestIoUs < 1 {
		return o, fmt.Errorf("train: objective: BestIoUs is %d, want at least 1", o.BestIoUs)
	}
	if o.NoFocal && o.Federated == nil {
		return o, fmt.Errorf("train: objective: without focal loss a federated loss is required")
	}
	if o.Federated != nil {
		f, err := o.Federated.withDefaults(classes)
		o.Federated = f
		return o, err
	}
	return o, nil
}

// assigner returns the rule that matches proposals with ground truths.
func (o Objective) assigner() simOTA {
	return simOTA{
		costWeights: costWeights{
			class: float32(o.ClassWeight), l1: float32(o.L1Weight), giou: float32(o.GIoUWeight),
			alpha: o.Alpha, gamma: o.Gamma, focal: !o.NoFocal,
		},
		bestIoUs: o.BestIoUs, reference: o.Quirks == diffusioninst.Reference,
	}
}

// term is one loss as it enters the sum.
type term struct {
	loss  string
	stage int
	last  bool // of the last stage
}

// name is the reference's: that of the loss for the last stage, with a suffix for others.
func (t term) name() string {
	if t.last {
		return t.loss
	}
	return fmt.Sprintf("%s_%d", t.loss, t.stage)
}

// order is that of the stages in the reference's list of losses: the last one first.
func (o Objective) order(stages int) []int {
	out := []int{stages - 1}
	for i := 0; i < stages-1 && !o.LastStage; i++ {
		out = append(out, i)
	}
	return out
}

// terms are the losses of all supervised stages, in order.
func (o Objective) terms(stages int) []term {
	names := []string{"loss_ce", "loss_bbox", "loss_giou", "loss_masks"}
	for _, e := range o.Extra {
		names = append(names, e.Name())
	}
	var out []term
	for _, i := range o.order(stages) {
		for _, name := range names {
			out = append(out, term{name, i, i == stages-1})
		}
	}
	return out
}

// composed returns share times the terms, (terms), given what the whole batch has in common.
func (o Objective) composed(p *pass, head maskhead.Head, common []settled, share float64) *torch.Tensor {
	s := p.scope
	var out []*torch.Tensor
	for k, i := range o.order(len(p.stages)) {
		mark := s.Mark()
		pairs, all, stage := p.pairs[k], common[k], p.stages[i]
		dice := sync.OnceValue(func() *torch.Tensor { return pairs.maskDice(p.batch, head, p.features, stage) })
		values := []*torch.Tensor{
			o.classLoss(pairs, all, stage.Logits, pairs.quality(o.ScoreTarget, p.batch, stage.Boxes, dice)).MulScalar(o.ClassWeight),
		}
		l1, giou := pairs.boxLosses(all, stage.Boxes)
		values = append(values, l1.MulScalar(o.L1Weight), giou.MulScalar(o.GIoUWeight),
			pairs.maskLoss(all, p.features, stage, dice).MulScalar(o.MaskWeight))
		values = append(values, o.extras(p, all, k, i)...)
		out = append(out, values...)
		s.Release(mark, values...)
	}
	return torch.Stack(out, 0).MulScalar(share)
}

// extras are the terms of the caller's at stage i, the k-th in order.
func (o Objective) extras(p *pass, all settled, k, i int) []*torch.Tensor {
	var out []*torch.Tensor
	stage := p.stages[i]
	for _, e := range o.Extra {
		out = append(out, e.Loss(StagePrediction{
			Stage: i, Samples: p.batch.samples, Logits: stage.Logits, Boxes: stage.Boxes, Filters: stage.Filters,
			Features: p.features, Pairs: p.pairs[k].exported(p.batch.samples), Divisor: all.divisor(),
		}))
	}
	return out
}
