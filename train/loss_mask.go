package train

import (
	"github.com/diffusioninst/go/decoder"
	"github.com/diffusioninst/go/maskhead"
	"github.com/diffusioninst/go/torch"
)

// maskLoss is the mean dice loss of a stage's masks over the matches, of which dice has the losses of the
// part of the batch with these mask features. Without matches it is 0.
func (m *matchedPairs) maskLoss(all settled, features *torch.Tensor, out decoder.Output, dice func() *torch.Tensor) *torch.Tensor {
	switch {
	case all.pairs == 0:
		return nothing(out.Boxes)
	case len(m.rows) == 0:
		return nothing(features) // whose gradient the other parts' norms want to hear of
	}
	return dice().Sum().DivScalar(all.divisor())
}

// maskDice is the dice loss (M) of each match's mask: the stage's own filters on the mask
// features (B,C,h,w) against the sampled ground truths.
func (m *matchedPairs) maskDice(b *batch, head maskhead.Head, features *torch.Tensor, out decoder.Output) *torch.Tensor {
	rows := torch.From(features.Scope(), m.rows).To(features.Device())
	filters := out.Filters.Flatten(0, 1).IndexSelect(0, rows)
	features = exact(features)
	truths := b.masks
	if truths.DType() != torch.Uint8 {
		truths = truths.ToDType(features.DType())
	}
	return head.Dice(features, exact(filters), m.images, truths, m.truths)
}
