package decoder

import "github.com/diffusioninst/go/torch"

// ConditioningSize is how many numbers Conditioning has of a proposal.
const ConditioningSize = 9

// Conditioning returns what a decoder with Config.SelfConditioning is told of its own last estimate (Chen et al., "Analog Bits",
// arXiv 2208.04202), (B,N,9): of each proposal the noisy box, the box that was estimated last and a 1, or zeros if nothing is
// known of it. Both boxes (B,N,4) are cx cy w h in the signal's scale, of one element type; known, bool (B,N), is nil for
// all. The estimate must be finite.
func Conditioning(boxes, last, known *torch.Tensor) *torch.Tensor {
	return boxes.Scope().Hold(func() *torch.Tensor {
		one := boxes.Narrow(2, 0, 1).OnesLike()
		out := torch.Cat([]*torch.Tensor{boxes, last, one}, 2)
		if known == nil {
			return out
		}
		return out.Mul(known.ToDType(out.DType()).Unsqueeze(2))
	})
}
