package maskhead

import (
	"fmt"
	"image"

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
// zero outside the box. boxes are ranges of pixels of the output;
// nothing outside them is computed.
func (h Head) Masks(features, filters *torch.Tensor, boxes []image.Rectangle, p Picture) []*mask.Bitmap {
	out := make([]*mask.Bitmap, len(boxes))
	words := make([][]uint64, len(boxes))
	for i := range out {
		out[i] = mask.NewBitmap(p.OutputW, p.OutputH)
		words[i] = out[i].Words
	}
	if len(boxes) == 0 {
		return out
	}
	flat := make([][4]int32, len(boxes))
	for i, b := range boxes {
		flat[i] = [4]int32{int32(b.Min.X), int32(b.Min.Y), int32(b.Max.X), int32(b.Max.Y)}
	}
	torch.DynamicMasks(features, filters, flat, words, out[0].Stride, torch.MaskConfig{
		Layers: h.withDefaults().Layers, Stride: p.Stride, InputW: p.InputW, InputH: p.InputH,
		OutputW: p.OutputW, OutputH: p.OutputH, Threshold: p.Threshold,
	})
	return out
}
