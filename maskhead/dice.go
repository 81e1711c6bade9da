package maskhead

import "github.com/diffusioninst/go/torch"

// Dice returns the dice losses 1 − 2Σpg/(Σp²+Σg²+1e-5) (Milletari et al. 2016) of M masks,
// shape (M). p are the probabilities that row i of filters (M,Params) gives on the mask
// features (B,Channels,h,w) of picture image[i]; image must ascend. g is row truth[i] of
// truths (G,h·w): uint8 of 0 and 1, or the parts of pixels, from 0 to 1, in the features' type. Gradients flow to features and filters. It is one fused
// kernel, except for heads that are larger than the kernel allows.
func (h Head) Dice(features, filters *torch.Tensor, image []int64, truths *torch.Tensor, truth []int64) *torch.Tensor {
	layers, fused := h.Fused(features.Device())
	if !fused {
		return h.composedDice(features, filters, image, truths, truth)
	}
	return torch.MaskDice(features, filters, image, truths, truth, layers)
}

// Fused returns the number of layers, and whether torch.MaskDice computes this head on a device.
func (h Head) Fused(d torch.Device) (layers int, ok bool) {
	h = h.applied()
	if d.IsCUDA() {
		return h.Layers, h.Channels <= 16 && h.Layers <= 4
	}
	return h.Layers, h.Channels <= 32 && h.Layers <= 8
}

// composedDice is Dice composed of LibTorch's operators, picture by picture.
func (h Head) composedDice(features, filters *torch.Tensor, image []int64, truths *torch.Tensor, truth []int64) *torch.Tensor {
	s := features.Scope()
	picks := torch.From(s, truth).To(truths.Device())
	row := func(t *torch.Tensor) *torch.Tensor { return t.SumDim([]int{1}, false) }
	var losses []*torch.Tensor
	for from := 0; from < len(image); {
		to := from
		for to < len(image) && image[to] == image[from] {
			to++
		}
		n := to - from
		losses = append(losses, s.Hold(func() *torch.Tensor {
			p := h.Logits(features.Select(0, int(image[from])), filters.Narrow(0, from, n)).Flatten(1, 2).Sigmoid()
			g := truths.IndexSelect(0, picks.Narrow(0, from, n)).ToDType(p.DType())
			return row(p.Mul(g)).MulScalar(2).Div(row(p.Mul(p)).Add(row(g.Mul(g))).AddScalar(1e-5)).RSubScalar(1)
		}))
		from = to
	}
	return torch.Cat(losses, 0)
}
