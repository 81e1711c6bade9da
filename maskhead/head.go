package maskhead

import (
	"fmt"
	"image"

	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/torch"
)

// A Head is a dynamic mask head: 1×1 convolutions with ReLU between them, whose weights
// and biases are an instance's filter. A field that is zero has the paper's value.
type Head struct {
	Channels int // channels of the mask features and the hidden layers; default 8
	Layers   int // convolutions, the last of which has one output; default 3
	// Coordinates tells the first layer where a pixel lies in the instance's box, too (relative coordinates, as in
	// CondInst). Filters then come from a Placement, and features from a branch with BranchConfig.Coordinates,
	// which has two channels more. The paper's head has none.
	Coordinates bool `json:",omitempty"`
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

// Check returns an error if a field is negative.
func (h Head) Check() error {
	if h = h.withDefaults(); h.Channels < 1 || h.Layers < 1 {
		return fmt.Errorf("maskhead: Layers is %d and Channels %d: want positive numbers, or 0 for the defaults", h.Layers, h.Channels)
	}
	return nil
}

// Params returns the length of a filter: the weights of all layers, then their biases.
// It is 153 for the paper's head, and 231 for the same with Coordinates, for which a network predicts 169 (Predicted).
func (h Head) Params() int {
	h = h.applied()
	return h.biases() + (h.Layers-1)*h.Channels + 1
}

// outputs is the number of outputs of a layer, from 0.
func (h Head) outputs(layer int) int {
	if layer == h.Layers-1 {
		return 1
	}
	return h.Channels
}

// biases is where the biases begin.
func (h Head) biases() int { return (h.Layers-1)*h.Channels*h.Channels + h.Channels }

// Logits applies filters (n,Params) to the mask features (Channels,h,w) of one picture
// and returns the mask logits (n,h,w). Gradients flow to both.
func (h Head) Logits(features, filters *torch.Tensor) *torch.Tensor {
	h = h.applied()
	c, shape, n := h.Channels, features.Shape(), filters.Size(0)
	x := features.Reshape(1, c, shape[1]*shape[2]).Expand(n, -1, -1)
	bias := h.biases()
	weight := 0
	for l := range h.Layers {
		out := h.outputs(l)
		w := filters.Narrow(1, weight, out*c).Reshape(n, out, c)
		x = w.Bmm(x).AddInPlace(filters.Narrow(1, bias, out).Unsqueeze(2))
		if out != 1 {
			x = x.ReluInPlace()
		}
		weight, bias = weight+out*c, bias+out
	}
	return x.Reshape(n, shape[1], shape[2])
}

// Masks returns the bit masks of filters (n,Params), in the size of g's output: the
// sigmoid of the logits, upsampled aligned-bilinearly to the padded input, cropped to the
// input, resized bilinearly to the output, set where above the threshold, and zero
// outside the box. There is a box for each filter, in pixels of the output; nothing outside
// them is computed or stored.
func (h Head) Masks(features, filters *torch.Tensor, boxes []image.Rectangle, g torch.MaskGeometry) []*mask.Bitmap {
	out := make([]*mask.Bitmap, len(boxes))
	words := make([][]uint64, len(boxes))
	stored := make([]image.Rectangle, len(boxes)) // the part of a box on the picture
	for i := range out {
		out[i] = mask.NewBitmapIn(g.OutputW, g.OutputH, boxes[i])
		words[i], stored[i] = out[i].Words, out[i].Rect
	}
	if len(boxes) == 0 {
		return out
	}
	torch.DynamicMasks(features, filters, h.applied().Layers, stored, words, g)
	return out
}
