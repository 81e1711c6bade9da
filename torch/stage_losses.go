package torch

import "github.com/diffusioninst/go/internal/libtorch"

// StageLosses are the losses that train a decoder of boxes and dynamic masks, for all its supervised stages at once, on a
// GPU. Package train composes the same of operators elsewhere.
type StageLosses struct {
	Weights [4]float64 // of the class loss, the L1 distance and 1 − GIoU of boxes, and the masks' dice loss
	Alpha   float64    // share of the positives in the focal loss (Lin et al. 2017)
	Gamma   float64    // its exponent
	Plain   bool       // binary cross entropy without the focal loss's factors
	Quality Quality    // what the scores of pairs learn
	Columns bool       // the plan says which classes count
	Layers  int        // 1×1 convolutions of a filter set, as for MaskDice
	Pairs   int        // M, of a proposal and an object, at all S stages
}

// A Quality is the class score that a pair learns in StageLosses. With one but QualityOne the class loss is the quality
// focal loss (Li et al., arXiv 2006.04388), without Alpha.
type Quality int

// Scores that a pair learns: 1, the IoU of its box, or the IoU d/(2−d) of its mask, d being the dice coefficient, if
// the object has pixels, otherwise that of its box.
const (
	QualityOne Quality = iota
	QualityBox
	QualityMask
)

// StageTargets is what a batch of B pictures with G objects learns, on the device.
type StageTargets struct {
	Masks *Tensor // (G,h·w): uint8 of 0 and 1, or float32 parts of pixels
	Boxes *Tensor // float32 (G,4): x1 y1 x2 y2 in pixels
	Sizes *Tensor // float32 (B,2): width and height of the pictures
	Kinds *Tensor // int64 (2,G): the objects' classes, and 1 if a pixel of their masks is set, else 0
	// Plan is int64, one after the other: of each proposal of all stages its pair, or −1, (S·B·N); of each pair, in the order of
	// the stages, the proposal among all, the picture and the object, (M) each; the first pair of each stage, and M, (S+1);
	// what the losses of each stage are divided by (S); and with Columns 1 for each class that counts, else 0, (S·K).
	Plan *Tensor
}

// Of returns the losses (S,4), weighted and divided, of S stages' logits (B,N,K), boxes (B,N,4), x1 y1 x2 y2 in pixels, and
// filters (B,N,params), the dynamic convolutions over the mask features (B,C,h,w). Gradients flow to all of them that need
// some. Float16 and bfloat16 are computed in float32.
func (l StageLosses) Of(features *Tensor, logits, boxes, filters []*Tensor, t StageTargets) *Tensor {
	if len(logits) == 0 || len(boxes) != len(logits) || len(filters) != len(logits) {
		fail("stage_losses", "there must be logits, boxes and filters of each stage")
	}
	all := append([]*Tensor{features, t.Masks, t.Boxes, t.Sizes, t.Kinds, t.Plan}, logits...)
	all = append(append(all, boxes...), filters...)
	h, e := libtorch.StageLosses(libtorch.StageLossOptions{
		Weights: l.Weights, Alpha: l.Alpha, Gamma: l.Gamma, Focal: !l.Plain, Columns: l.Columns,
		Quality: int(l.Quality), Layers: l.Layers, Pairs: l.Pairs,
	}, libtorch.StageTargets{
		Masks: t.Masks.handle(), Boxes: t.Boxes.handle(), Sizes: t.Sizes.handle(), Kinds: t.Kinds.handle(), Plan: t.Plan.handle(),
	}, features.handle(), handles(logits), handles(boxes), handles(filters))
	check("stage_losses", e, all...)
	return scopeOf(all...).own(h)
}
