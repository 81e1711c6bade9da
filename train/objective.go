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

// terms are the losses of all stages on a batch, those of the last stage first.
// features are the mask features (B,C,h,w).
func (o Objective) terms(b *batch, head maskhead.Head, features *torch.Tensor, stages []decoder.Output, draws Draws) []term {
	last := len(stages) - 1
	order := []int{last}
	for i := 0; i < last && !o.LastStage; i++ {
		order = append(order, i)
	}
	s := features.Scope()
	var out []term
	for _, i := range order {
		mark := s.Mark()
		m := o.match(b, stages[i])
		values := []*torch.Tensor{
			o.classLoss(m, stages[i].Logits, draws).MulScalar(o.ClassWeight),
		}
		l1, giou := m.boxLosses(stages[i].Boxes)
		values = append(values, l1.MulScalar(o.L1Weight), giou.MulScalar(o.GIoUWeight),
			m.maskLoss(b, head, features, stages[i]).MulScalar(o.MaskWeight))
		names := []string{"loss_ce", "loss_bbox", "loss_giou", "loss_masks"}
		for _, e := range o.Extra {
			names = append(names, e.Name())
			values = append(values, e.Loss(Prediction{
				i, b.samples, stages[i].Logits, stages[i].Boxes, stages[i].Filters, features, m.pairs(b.samples),
			}))
		}
		for k, name := range names {
			out = append(out, term{name, i, i == last, values[k]})
		}
		s.Release(mark, values...)
	}
	return out
}
