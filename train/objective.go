package train

import (
	"fmt"
	"math"

	"github.com/diffusioninst/go/decoder"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/maskhead"
	"github.com/diffusioninst/go/torch"
)

// Objective is what a step makes smaller: the weighted sum of four losses at every
// decoder stage, each summed over the matches of the batch and divided by their number.
// The zero value of a field means the paper's.
type Objective struct {
	ClassWeight float64 // of the focal loss: 2
	L1Weight    float64 // of the boxes' L1 distance in picture sizes: 5
	GIoUWeight  float64 // of 1 − GIoU of the boxes: 2
	MaskWeight  float64 // of the masks' dice loss: 5
	Alpha       float64 // share of the positives in the focal loss: 0.25
	Gamma       float64 // exponent of the focal loss: 2
	NoFocal     bool    // plain binary cross entropy; only with Federated
	Federated   *Federated
	BestIoUs    int         // whose sum is the number of proposals a ground truth takes: 5
	LastStage   bool        // losses of the last stage alone, no deep supervision
	Extra       []StageLoss // terms of your own
	// Quirks makes matching drop a ground truth that loses its last proposal to
	// another, as the reference does.
	Quirks diffusioninst.Quirks
}

func (o Objective) withDefaults(classes int) (Objective, error) {
	for _, f := range []struct {
		field    *float64
		standard float64
	}{{&o.ClassWeight, 2}, {&o.L1Weight, 5}, {&o.GIoUWeight, 2}, {&o.MaskWeight, 5}, {&o.Alpha, 0.25}, {&o.Gamma, 2}} {
		if *f.field == 0 {
			*f.field = f.standard
		}
		if !(*f.field > 0) || math.IsInf(*f.field, 0) {
			return o, fmt.Errorf("train: objective: a weight of %v", *f.field)
		}
	}
	if err := o.checkExtra(); err != nil {
		return o, err
	}
	if o.BestIoUs == 0 {
		o.BestIoUs = 5
	}
	if o.BestIoUs < 1 {
		return o, fmt.Errorf("train: objective: the sum of the %d best IoUs", o.BestIoUs)
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

func (o Objective) matching() matching {
	return matching{
		class: float32(o.ClassWeight), l1: float32(o.L1Weight), giou: float32(o.GIoUWeight),
		alpha: o.Alpha, gamma: o.Gamma, focal: !o.NoFocal, sum: o.BestIoUs, reference: o.Quirks == diffusioninst.Reference,
	}
}

// term is one loss as it enters the sum.
type term struct {
	loss  string
	stage int
	last  bool // of the last stage
	value *torch.Tensor
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

// matches are those of all stages with losses, in order.
func (o Objective) matches(b *batch, stages []decoder.Output) []*matches {
	var out []*matches
	for _, i := range o.order(len(stages)) {
		out = append(out, o.match(b, stages[i]))
	}
	return out
}

// settle tells the parts of a batch, each with its matches stage by stage, what they
// have in common: the number of matches, and the classes that count.
func (o Objective) settle(parts [][]*matches, draws Draws) {
	for stage := range parts[0] {
		whole := &matches{}
		for _, part := range parts {
			m := part[stage]
			whole.rows, whole.classes = append(whole.rows, m.rows...), append(whole.classes, m.classes...)
			whole.total += m.total
		}
		var chosen []int64
		if o.Federated != nil {
			chosen = o.Federated.choose(whole, draws)
		}
		for _, part := range parts {
			part[stage].others, part[stage].chosen = len(whole.rows)-len(part[stage].rows), chosen
		}
	}
}

// terms are the losses of all stages on a batch, in order, given their settled
// matches. features are the mask features (B,C,h,w).
func (o Objective) terms(b *batch, head maskhead.Head, features *torch.Tensor, stages []decoder.Output, found []*matches) []term {
	s := features.Scope()
	var out []term
	for k, i := range o.order(len(stages)) {
		mark := s.Mark()
		m := found[k]
		values := []*torch.Tensor{
			o.classLoss(m, stages[i].Logits).MulScalar(o.ClassWeight),
		}
		l1, giou := m.boxLosses(stages[i].Boxes)
		values = append(values, l1.MulScalar(o.L1Weight), giou.MulScalar(o.GIoUWeight),
			m.maskLoss(b, head, features, stages[i]).MulScalar(o.MaskWeight))
		names := []string{"loss_ce", "loss_bbox", "loss_giou", "loss_masks"}
		for _, e := range o.Extra {
			names = append(names, e.Name())
			values = append(values, e.Loss(Prediction{
				i, b.samples, stages[i].Logits, stages[i].Boxes, stages[i].Filters, features, m.pairs(b.samples), m.count(),
			}))
		}
		for k, name := range names {
			out = append(out, term{name, i, i == len(stages)-1, values[k]})
		}
		s.Release(mark, values...)
	}
	return out
}
