package maskhead

import (
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// Relative coordinates (CondInst, arXiv 2003.05664): the first layer also sees where a pixel lies in the instance's box,
// r = (p − centre) / half a side, from −1 to 1. Its product w·r is w/half · p − w/half · centre: the kernels that
// apply filters then need two features more, the pixels' places p, and filters that are placed.

// plain is the head without coordinates, whose filters the network predicts.
func (h Head) plain() Head {
	h = h.withDefaults()
	h.Coordinates = false
	return h
}

// applied is the head that is applied to the features with the pixels' places.
func (h Head) applied() Head {
	out := h.plain()
	if h.Coordinates {
		out.Channels += 2
	}
	return out
}

// Predicted returns how many numbers the network predicts per instance: a filter without coordinates, and the weights
// of the coordinates, which are 0 without them.
func (h Head) Predicted() (filter, coordinates int) {
	if h.Coordinates {
		coordinates = 2 * h.plain().outputs(0)
	}
	return h.plain().Params(), coordinates
}

// A Placement makes filters that are applied to features with coordinates (BranchConfig.Coordinates) of what a network
// predicts and of the instances' boxes.
type Placement struct {
	head   Head
	stride float64
	index  *torch.Tensor // of each number of a placed filter in what NewPlacement's comment lists
}

// NewPlacement returns the placement of a head's filters on features of a stride in pixels of the network's input. p is any path
// of the network's store.
func NewPlacement(p nn.Path, h Head, stride int) *Placement {
	// What there is, in order: the plain filter, whose first biases are moved, the divided weights of x and y, and a zero.
	plain, wide := h.plain(), h.applied()
	n, first := plain.Params(), plain.outputs(0)
	zero := int64(n + 2*first)
	var index []int64
	weight, bias := 0, plain.biases()
	for l := range plain.Layers {
		out := plain.outputs(l)
		for o := range wide.outputs(l) {
			for c := range wide.Channels {
				at := zero
				switch {
				case o >= out:
				case c < plain.Channels:
					at = int64(weight + o*plain.Channels + c)
				case l == 0:
					at = int64(n + (c-plain.Channels)*first + o)
				}
				index = append(index, at)
			}
		}
		weight += out * plain.Channels
	}
	for l := range plain.Layers {
		out := plain.outputs(l)
		for o := range wide.outputs(l) {
			at := zero
			if o < out {
				at = int64(bias + o)
			}
			index = append(index, at)
		}
		bias += out
	}
	return &Placement{h, float64(stride), p.Constant(func(s *torch.Scope) *torch.Tensor {
		return torch.From(s, index).To(p.Device())
	})}
}

// Of returns filters (…,Head.Params) of what is predicted (…,n), the numbers of Head.Predicted one after the other, and of boxes
// (…,4), x1 y1 x2 y2 in pixels of the network's input, through which no gradients flow. A box has at least the side
// of a feature's pixel.
func (p *Placement) Of(predicted, boxes *torch.Tensor) *torch.Tensor {
	plain := p.head.plain()
	n, first, bias := plain.Params(), plain.outputs(0), plain.biases()
	return predicted.Scope().Hold(func() *torch.Tensor {
		last := len(predicted.Shape()) - 1
		part := func(from, length int) *torch.Tensor { return predicted.Narrow(last, from, length) }
		corners := boxes.Detach().ToDType(predicted.DType()).DivScalar(p.stride)
		low, high := corners.Narrow(last, 0, 2), corners.Narrow(last, 2, 2)
		centre, half := low.Add(high).DivScalar(2), high.Sub(low).DivScalar(2).ClampMin(0.5)
		moved := part(bias, first)
		var weights []*torch.Tensor
		for axis := range 2 {
			w := part(n+axis*first, first).Div(half.Narrow(last, axis, 1))
			moved = moved.Sub(w.Mul(centre.Narrow(last, axis, 1)))
			weights = append(weights, w)
		}
		all := append([]*torch.Tensor{part(0, bias), moved, part(bias+first, n-bias-first)}, weights...)
		all = append(all, part(0, 1).Detach().ZerosLike())
		return torch.Cat(all, last).IndexSelect(last, p.index)
	})
}

// withPlaces returns features (B,C,h,w) with two channels more: x+½ and y+½ of the pixels.
func withPlaces(features *torch.Tensor) *torch.Tensor {
	s, shape := features.Scope(), features.Shape()
	b, height, width := shape[0], shape[2], shape[3]
	return s.Hold(func() *torch.Tensor {
		axis := func(n int, shape ...int) *torch.Tensor {
			o := torch.Options{DType: features.DType(), Device: features.Device()}
			return s.Arange(n, o).AddScalar(0.5).Reshape(shape...).Expand(b, 1, height, width)
		}
		return torch.Cat([]*torch.Tensor{features, axis(width, 1, 1, 1, width), axis(height, 1, 1, height, 1)}, 1)
	})
}
