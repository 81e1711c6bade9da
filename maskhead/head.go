package maskhead

import (
	"fmt"
	"math"

	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/torch"
)

// Head is the dynamic mask head: 1×1 convolutions whose numbers an instance brings
// along. The zero value of a field means the paper's.
type Head struct {
	Channels int // of the mask features and the hidden layers: 8
	Layers   int // convolutions, the last with one output: 3
}

func (h Head) withDefaults() Head {
	if h.Channels == 0 {
		h.Channels = 8
	}
	if h.Layers == 0 {
		h.Layers = 3
	}
	return h
}

// Check refuses impossible sizes.
func (h Head) Check() error {
	if h = h.withDefaults(); h.Channels < 1 || h.Layers < 1 {
		return fmt.Errorf("maskhead: a mask head of %d layers and %d channels", h.Layers, h.Channels)
	}
	return nil
}

// Params is the length of a filter: the weights of all layers, then their biases.
// It is 153 for the paper's head.
func (h Head) Params() int {
	h = h.withDefaults()
	hidden := h.Layers - 1
	return hidden*(h.Channels*h.Channels+h.Channels) + h.Channels + 1
}

// Logits applies filters (n, Params) to the mask features (C,h,w) of one picture:
// (n,h,w). Differentiable; it composes LibTorch's operators.
func (h Head) Logits(features, filters *torch.Tensor) *torch.Tensor {
	h = h.withDefaults()
	c, shape, n := int64(h.Channels), features.Shape(), filters.Size(0)
	x := features.Reshape([]int64{1, c, shape[1] * shape[2]}).Expand([]int64{n, -1, -1})
	bias := int64(h.Layers-1)*c*c + c
	weight := int64(0)
	for l := range h.Layers {
		out := c
		if l == h.Layers-1 {
			out = 1
		}
		w := filters.Narrow(1, weight, out*c).Reshape([]int64{n, out, c})
		x = w.Bmm(x).AddInPlace(filters.Narrow(1, bias, out).Unsqueeze(2))
		if out != 1 {
			x = x.ReluInPlace()
		}
		weight, bias = weight+out*c, bias+out
	}
	return x.Reshape([]int64{n, shape[1], shape[2]})
}

// Picture says how one picture's mask features, network input and output relate.
type Picture struct {
	Stride           int // of the mask features in the padded network input
	InputW, InputH   int // of the network input without padding
	OutputW, OutputH int // of the masks
	Threshold        float64
}

// Masks turns filters (n, Params) into bit masks: logits, sigmoid, aligned bilinear
// to the padded input, crop to the input, bilinear to the output, above Threshold,
// zero outside the box. boxes are half-open pixel ranges x0 y0 x1 y1 of the output;
// nothing outside them is computed on the CPU.
func (h Head) Masks(features, filters *torch.Tensor, boxes [][4]int32, p Picture) []*mask.Bitmap {
	out := make([]*mask.Bitmap, len(boxes))
	words := make([][]uint64, len(boxes))
	for i := range out {
		out[i] = mask.NewBitmap(p.OutputW, p.OutputH)
		words[i] = out[i].Words
	}
	if len(boxes) == 0 {
		return out
	}
	if features.Device().IsCUDA() {
		h.composed(features, filters, boxes, p, out)
		return out
	}
	torch.DynamicMasks(features, filters, boxes, words, out[0].Stride, torch.MaskConfig{
		Layers: h.withDefaults().Layers, Stride: p.Stride, InputW: p.InputW, InputH: p.InputH,
		OutputW: p.OutputW, OutputH: p.OutputH, Threshold: p.Threshold,
	})
	return out
}

// chunk bounds the probabilities that composed holds at once, in elements.
const chunk = 64 << 20

// composed is Masks of LibTorch's operators, for devices without the fused kernel.
func (h Head) composed(features, filters *torch.Tensor, boxes [][4]int32, p Picture, out []*mask.Bitmap) {
	s := filters.Scope()
	full := features.Size(1) * features.Size(2) * int64(p.Stride) * int64(p.Stride)
	step := max(int64(chunk)/max(full, int64(p.OutputW)*int64(p.OutputH)), 1)
	for from := int64(0); from < int64(len(boxes)); from += step {
		mark := s.Mark()
		n := min(step, int64(len(boxes))-from)
		x := h.Logits(features, filters.Narrow(0, from, n)).Sigmoid().Unsqueeze(1)
		x = composedBilinear(x, int64(p.Stride)).Narrow(2, 0, int64(p.InputH)).Narrow(3, 0, int64(p.InputW))
		x = x.UpsampleBilinear2d([]int64{int64(p.OutputH), int64(p.OutputW)}, false).Squeeze(1).GtScalar(p.Threshold)
		x = x.LogicalAnd(inside(s, boxes[from:from+n], p, x.Device()))
		pack(x, out[from:from+n])
		s.Release(mark)
	}
}

// inside is true at the pixels within each box: (n,H,W).
func inside(s *torch.Scope, boxes [][4]int32, p Picture, d torch.Device) *torch.Tensor {
	edges := make([]int32, 0, 4*len(boxes))
	for _, b := range boxes {
		edges = append(edges, b[:]...)
	}
	e := torch.From(s, edges, int64(len(boxes)), 4).To(d)
	axis := func(size, lo, hi int64) *torch.Tensor {
		at := s.Arange(size, torch.Options{DType: torch.Int32, Device: d}).Unsqueeze(0)
		return at.Ge(e.Narrow(1, lo, 1)).LogicalAnd(at.Lt(e.Narrow(1, hi, 1)))
	}
	return axis(int64(p.OutputH), 1, 3).Unsqueeze(2).LogicalAnd(axis(int64(p.OutputW), 0, 2).Unsqueeze(1))
}

// pack moves bool masks (n,H,W) into bitmaps, eight pixels a byte on the device.
func pack(x *torch.Tensor, out []*mask.Bitmap) {
	s := x.Scope()
	n, height, stride := x.Size(0), x.Size(1), int64(out[0].Stride)
	x = x.ToDType(torch.Uint8).ConstantPad([]int64{0, stride*64 - x.Size(2)}, 0).Reshape([]int64{n, height, stride * 8, 8})
	weights := torch.From(s, []uint8{1, 2, 4, 8, 16, 32, 64, 128}).To(x.Device())
	bytes := torch.Values[uint8](x.Mul(weights).SumDim([]int64{3}, false).ToDType(torch.Uint8))
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

// Pixels is the half-open range x0 y0 x1 y1 of the pixels of a w×h picture whose
// centres lie inside the box x1 y1 x2 y2.
func Pixels(box [4]float32, w, h int) [4]int32 {
	edge := func(v float32, size int) int32 {
		return int32(min(max(math.Ceil(float64(v)-0.5), 0), float64(size)))
	}
	return [4]int32{edge(box[0], w), edge(box[1], h), edge(box[2], w), edge(box[3], h)}
}

// TruncatedPixels is the range that the reference implementation clips to: the
// box's edges cut to whole numbers.
func TruncatedPixels(box [4]float32, w, h int) [4]int32 {
	edge := func(v float32, size int) int32 {
		return int32(min(max(math.Trunc(float64(v)), 0), float64(size)))
	}
	return [4]int32{edge(box[0], w), edge(box[1], h), edge(box[2], w), edge(box[3], h)}
}
