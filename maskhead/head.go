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
// nothing outside them is computed.
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
	torch.DynamicMasks(features, filters, boxes, words, out[0].Stride, torch.MaskConfig{
		Layers: h.withDefaults().Layers, Stride: p.Stride, InputW: p.InputW, InputH: p.InputH,
		OutputW: p.OutputW, OutputH: p.OutputH, Threshold: p.Threshold,
	})
	return out
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
