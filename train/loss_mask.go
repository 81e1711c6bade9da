package train

import (
	"github.com/diffusioninst/go/decoder"
	"github.com/diffusioninst/go/maskhead"
	"github.com/diffusioninst/go/torch"
)

// maskLoss is the mean dice loss of a stage's masks over the matches: its own filters
// on the mask features (B,C,h,w) against the sampled ground truths. Without matches it is 0.
func (m *matches) maskLoss(b *batch, head maskhead.Head, features *torch.Tensor, out decoder.Output) *torch.Tensor {
	s := features.Scope()
	var sum *torch.Tensor
	for i, in := range m.samples {
		if len(in.proposals) == 0 {
			continue
		}
		mark := s.Mark()
		filters := out.Filters.Select(0, int64(i)).IndexSelect(0, torch.From(s, in.proposals).To(features.Device()))
		logits := exact(head.Logits(features.Select(0, int64(i)), filters).Flatten(1, 2))
		truths := b.masks[i].IndexSelect(0, torch.From(s, in.truths).To(features.Device())).ToDType(logits.DType())
		loss := dice(logits.Sigmoid(), truths).Sum()
		if sum != nil {
			loss = sum.Add(loss)
		}
		sum = loss
		s.Release(mark, sum)
	}
	if sum == nil {
		return nothing(out.Boxes)
	}
	return sum.DivScalar(m.count())
}

// dice is 1 − 2Σpg/(Σp²+Σg²+1e-5) of each row (Milletari et al. 2016).
func dice(p, g *torch.Tensor) *torch.Tensor {
	row := func(t *torch.Tensor) *torch.Tensor { return t.SumDim([]int64{1}, false) }
	common := row(p.Mul(g)).MulScalar(2)
	return common.Div(row(p.Mul(p)).Add(row(g.Mul(g))).AddScalar(1e-5)).RSubScalar(1)
}
