package train

import "github.com/diffusioninst/go/torch"

// boxLosses are, over the matches, the mean L1 distance of boxes (B,N,4) in picture
// sizes and the mean of 1 − GIoU. Without matches both are 0.
func (m *matchedPairs) boxLosses(all settled, boxes *torch.Tensor) (l1, giou *torch.Tensor) {
	s := boxes.Scope()
	if len(m.rows) == 0 {
		return nothing(boxes), nothing(boxes)
	}
	boxes, truths := m.boxPairs(boxes)
	sizes := torch.From(s, m.sizes, len(m.rows), 4).ToDType(boxes.DType()).To(boxes.Device())
	l1 = boxes.Div(sizes).Sub(truths.Div(sizes)).Abs().Sum().DivScalar(all.divisor())
	giou = generalIoU(boxes, truths).RSubScalar(1).Sum().DivScalar(all.divisor())
	return l1, giou
}

// boxPairs returns the matches' boxes (M,4), of boxes (B,N,4), and the boxes of their ground truths (M,4).
func (m *matchedPairs) boxPairs(boxes *torch.Tensor) (predicted, truths *torch.Tensor) {
	s := boxes.Scope()
	predicted = exact(boxes.Flatten(0, 1).IndexSelect(0, torch.From(s, m.rows).To(boxes.Device())))
	return predicted, torch.From(s, m.boxes, len(m.rows), 4).ToDType(predicted.DType()).To(predicted.Device())
}

// nothing is 0 with a gradient of zeros, so that a batch without matches moves the
// parameters behind x as any other does.
func nothing(x *torch.Tensor) *torch.Tensor { return x.Sum().MulScalar(0) }

// exact is x in a precision that sums can be trusted to: at least float32.
func exact(x *torch.Tensor) *torch.Tensor {
	switch x.DType() {
	case torch.Float16, torch.BFloat16:
		return x.ToDType(torch.Float32)
	}
	return x
}

// generalIoU is the generalised IoU (Rezatofighi et al. 2019) of each pair of boxes
// (M,4), x1 y1 x2 y2: (M).
func generalIoU(a, b *torch.Tensor) *torch.Tensor {
	common := boxArea(low(a).Maximum(low(b)), high(a).Minimum(high(b)))
	hull := boxArea(low(a).Minimum(low(b)), high(a).Maximum(high(b)))
	union := boxArea(low(a), high(a)).Add(boxArea(low(b), high(b))).Sub(common)
	return common.Div(union).Sub(hull.Sub(union).Div(hull))
}

// boxIoU is the IoU of each pair of boxes (M,4), x1 y1 x2 y2: (M).
func boxIoU(a, b *torch.Tensor) *torch.Tensor {
	common := boxArea(low(a).Maximum(low(b)), high(a).Minimum(high(b)))
	return common.Div(boxArea(low(a), high(a)).Add(boxArea(low(b), high(b))).Sub(common))
}

// low and high are the corners (M,2) of boxes (M,4).
func low(boxes *torch.Tensor) *torch.Tensor  { return boxes.Narrow(1, 0, 2) }
func high(boxes *torch.Tensor) *torch.Tensor { return boxes.Narrow(1, 2, 2) }

// boxArea is the area between corners (M,2), 0 where they are the wrong way round: (M).
func boxArea(from, to *torch.Tensor) *torch.Tensor {
	side := to.Sub(from).ClampMin(0)
	return side.Select(1, 0).Mul(side.Select(1, 1))
}
