package diffusioninst

import (
	"cmp"
	"math"
	"slices"

	"github.com/diffusioninst/go/torch"
)

// mostMaskScore keeps a part of the class score in every score.
const mostMaskScore = 0.9

// checkMaskScore reports whether m may be the weight of a mask's quality in a score: at most 0.9, negative
// for none.
func checkMaskScore(m float64) bool { return m <= mostMaskScore }

// candidateScore is the least class score of a detection whose score with its mask's quality, which is at
// most 1, may reach the least score of a view's instances.
func (s *settings) candidateScore() float64 {
	if !(s.maskScore > 0) || s.viewScore <= 0 {
		return s.viewScore
	}
	return math.Pow(s.viewScore, 1/(1-s.maskScore))
}

// rescore makes the scores of objects of view i the weighted geometric means of their class scores and their
// masks' qualities, and returns those that reach the least score, best first.
func (p *pass) rescore(s *torch.Scope, i int, c candidates, objects []object) []object {
	if !(p.maskScore > 0) || len(objects) == 0 {
		return objects
	}
	v, head := p.views[i], p.model.config.MaskHead
	var of []int64
	var boxes []Box
	for _, o := range objects {
		of = append(of, o.votes[0])
		boxes = append(boxes, c.boxes[o.votes[0]].Clip(v.width, v.height))
	}
	quality := head.Quality(p.features.Select(0, i), c.filtersOf(s, of), boxes, p.maskStride())
	var out []object
	for k, o := range objects {
		o.score = float32(math.Pow(float64(o.score), 1-p.maskScore) * math.Pow(quality[k], p.maskScore))
		if float64(o.score) >= p.viewScore {
			out = append(out, o)
		}
	}
	slices.SortStableFunc(out, func(a, b object) int { return cmp.Compare(b.score, a.score) })
	return out
}

// maskStride is the stride of the mask features.
func (p *pass) maskStride() int {
	return p.model.backbone.Strides()[0] / max(p.model.config.MaskBranch.Upsample, 1)
}
