package train

import "github.com/diffusioninst/go/torch"

// boxLosses are, over the matches, the mean L1 distance of boxes (B,N,4) in picture
// sizes and the mean of 1 − GIoU. Without matches both are 0.
func (m *matchedPairs) boxLosses(all settled, boxes *torch.Tensor) (l1, giou *torch.Tensor) {
	s := boxes.Scope()
	if len(m.rows) == 0 {
		return nothing(boxes), nothing(boxes)
	}
	boxes = exact(boxes.Flatten(0, 1).IndexSelect(0, torch.From(s, m.rows).To(boxes.Device())))
	alike := func(values []float32) *torch.Tensor {
		return torch.From(s, values, len(m.rows), 4).ToDType(boxes.DType()).To(boxes.Device())
	}
	truths, sizes := alike(m.boxes), alike(m.sizes)
	l1 = boxes.Div(sizes).Sub(truths.Div(sizes)).Abs().Sum().DivScalar(all.divisor())
	giou = generalIoU(boxes, truths).RSubScalar(1).Sum().DivScalar(all.divisor())
	return l1, giou
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
	low := func(t *torch.Tensor) *torch.Tensor { return t.Narrow(1, 0, 2) }
	high := func(t *torch.Tensor) *torch.Tensor { return t.Narrow(1, 2, 2) }
	area := func(from, to *torch.Tensor) *torch.Tensor {
		side := to.Sub(from).ClampMin(0)
		return side.Select(1, 0).Mul(side.Select(1, 1))
	}
	common := area(low(a).Maximum(low(b)), high(a).Minimum(high(b)))
	hull := area(low(a).Minimum(low(b)), high(a).Maximum(high(b)))
	union := area(low(a), high(a)).Add(area(low(b), high(b))).Sub(common)
	return common.Div(union).Sub(hull.Sub(union).Div(hull))
}
