package train

import (
	"fmt"

	"github.com/diffusioninst/go/torch"
)

// A ScoreTarget is the class score that a matched proposal learns. Those but ScoreOne are
// estimates of its quality, so that scores rank detections by how good they are.
type ScoreTarget string

const (
	// ScoreOne is 1, as in the paper: the focal loss (Lin et al. 2017).
	ScoreOne ScoreTarget = ""
	// ScoreMaskIoU is the IoU d/(2−d) of the proposal's mask, d being the dice coefficient of
	// its mask loss; the IoU of the box for an object that covers no pixel of the mask targets.
	ScoreMaskIoU ScoreTarget = "mask"
	// ScoreBoxIoU is the IoU of the proposal's box.
	ScoreBoxIoU ScoreTarget = "box"
)

// check refuses what is not one of the constants.
func (q ScoreTarget) check() error {
	switch q {
	case ScoreOne, ScoreMaskIoU, ScoreBoxIoU:
		return nil
	}
	return fmt.Errorf("train: objective: a score target of %q: want nothing, %q or %q", string(q), string(ScoreMaskIoU), string(ScoreBoxIoU))
}

// quality returns the target scores (M) of the matches, without gradients, or nil for 1. boxes
// (B,N,4) are the stage's, masks the matches' dice losses (M).
func (m *matchedPairs) quality(q ScoreTarget, b *batch, boxes *torch.Tensor, masks func() *torch.Tensor) *torch.Tensor {
	if q == ScoreOne || len(m.rows) == 0 {
		return nil
	}
	predicted, truths := m.boxPairs(boxes.Detach())
	iou := boxIoU(predicted, truths)
	if q == ScoreBoxIoU {
		return iou
	}
	far := masks().Detach() // 1 − d
	index := torch.From(boxes.Scope(), m.truths).To(b.masks.Device())
	drawn := b.masks.SumDim([]int{1}, false).IndexSelect(0, index).GtScalar(0)
	return drawn.Where(far.RSubScalar(1).Div(far.AddScalar(1)), iou)
}
