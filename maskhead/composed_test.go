package maskhead

import (
	"image"

	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/torch"
)

// chunk bounds the probabilities that composed holds at once, in elements.
const chunk = 64 << 20

// composed is Masks of LibTorch's operators.
func (h Head) composed(features, filters *torch.Tensor, boxes []image.Rectangle, p torch.MaskGeometry, out []*mask.Bitmap) {
	s := filters.Scope()
	full := features.Size(1) * features.Size(2) * p.Stride * p.Stride
	step := max(int(chunk)/max(full, p.OutputW*p.OutputH), 1)
	for from := 0; from < len(boxes); from += step {
		mark := s.Mark()
		n := min(step, len(boxes)-from)
		x := h.Logits(features, filters.Narrow(0, from, n)).Sigmoid().Unsqueeze(1)
		x = composedBilinear(x, p.Stride).Narrow(2, 0, p.InputH).Narrow(3, 0, p.InputW)
		x = x.UpsampleBilinear2d([]int{p.OutputH, p.OutputW}, false).Squeeze(1).GtScalar(p.Threshold)
		x = x.LogicalAnd(inside(s, boxes[from:from+n], p, x.Device()))
		pack(x, out[from:from+n])
		s.Release(mark)
	}
}

// inside is true at the pixels within each box: (n,H,W).
func inside(s *torch.Scope, boxes []image.Rectangle, p torch.MaskGeometry, d torch.Device) *torch.Tensor {
	edges := make([]int32, 0, 4*len(boxes))
	for _, b := range boxes {
		edges = append(edges, int32(b.Min.X), int32(b.Min.Y), int32(b.Max.X), int32(b.Max.Y))
	}
	e := torch.From(s, edges, len(boxes), 4).To(d)
	axis := func(size, lo, hi int) *torch.Tensor {
		at := s.Arange(size, torch.Options{DType: torch.Int32, Device: d}).Unsqueeze(0)
		return at.Ge(e.Narrow(1, lo, 1)).LogicalAnd(at.Lt(e.Narrow(1, hi, 1)))
	}
	return axis(p.OutputH, 1, 3).Unsqueeze(2).LogicalAnd(axis(p.OutputW, 0, 2).Unsqueeze(1))
}

// pack moves bool masks (n,H,W) into bitmaps, eight pixels a byte on the device.
func pack(x *torch.Tensor, out []*mask.Bitmap) {
	s := x.Scope()
	n, height, stride := x.Size(0), x.Size(1), out[0].Stride
	x = x.ToDType(torch.Uint8).ConstantPad([]int{0, stride*64 - x.Size(2)}, 0).Reshape(n, height, stride*8, 8)
	weights := torch.From(s, []uint8{1, 2, 4, 8, 16, 32, 64, 128}).To(x.Device())
	bytes := torch.Values[uint8](x.Mul(weights).SumDim([]int{3}, false).ToDType(torch.Uint8))
	for i, b := range out {
		for j := range b.Words {
			at := (i*len(b.Words) + j) * 8
			w := uint64(0)
			for k := range 8 {
				w |= uint64(bytes[at+k]) << (8 * k)
			}
			b.Words[j] = w
		}
	}
}
