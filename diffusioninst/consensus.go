package diffusioninst

import (
	"cmp"
	"image"
	"slices"

	"github.com/diffusioninst/go/torch"
)

// leastVote is the score below which a detection does not count in a consensus.
const leastVote = 0.05

// object is what a view's candidates say of one object.
type object struct {
	votes []int64 // candidates that decide about box and mask; the first one gives the class
	score float32
}

// objects returns the objects of view i, best first.
func (p *pass) objects(s *torch.Scope, i int, c candidates) ([]object, error) {
	if !p.apart(c.evaluations) {
		var out []object
		for _, k := range p.survivors(c) {
			out = append(out, object{p.ensemble.voters(c, k), c.scores[k]})
		}
		return out, nil
	}
	order := p.survivors(c.apart())
	if p.ensemble.Boxes {
		return c.consensus(order, p.ensemble.Consensus, p.candidateScore(), func(a, b int64) float64 { return float64(c.boxes[a].IoU(c.boxes[b])) }), nil
	}
	v := p.views[i]
	place := map[int64]int{} // of a candidate in order
	var alone [][]int64
	var areas []image.Rectangle
	sx, sy := v.factors()
	for n, k := range order {
		place[k] = n
		alone = append(alone, []int64{k})
		areas = append(areas, p.rules.pixels(c.boxes[k].Scale(sx, sy), v.part.Dx(), v.part.Dy()))
	}
	if err := p.checkMasks(areas, *p.held); err != nil {
		return nil, err
	}
	masks := p.masks(s, i, c, alone, areas)
	return c.consensus(order, p.ensemble.Consensus, p.candidateScore(), func(a, b int64) float64 {
		return masksOverlap(Instance{Box: c.boxes[a], Mask: masks[place[a]]}, Instance{Box: c.boxes[b], Mask: masks[place[b]]})
	}), nil
}

// apart returns c with a class for each evaluation, so that suppression is within each.
func (c candidates) apart() candidates {
	classes := make([]int64, len(c.classes))
	for k, class := range c.classes {
		classes[k] = class*int64(c.evaluations) + int64(c.evaluation[k])
	}
	c.classes = classes
	return c
}

// consensus clusters candidates, given best first: each goes with the best one of its class
// that it overlaps by iou and that goes with none itself. A cluster is an object whose score is
// the mean over the evaluations that count for it of the best score in each, and each one's best
// candidate votes.
// Candidates whose boxes do not overlap do not overlap.
func (c candidates) consensus(order []int64, iou, least float64, overlap func(a, b int64) float64) []object {
	var out []object
	taken := make([]bool, len(order))
	index := nearby{}
	for n, k := range order {
		index.add(c.boxes[k], n)
	}
	var near []int
	for n, first := range order {
		if taken[n] {
			continue
		}
		if float64(c.scores[first]) < least {
			break // no mean exceeds its best score
		}
		in, counting := map[int32]bool{}, c.evaluations // in: those that have voted, or do not count
		if c.counts != nil {
			for e := range c.evaluations {
				if !c.counts(e, c.boxes[first]) {
					in[int32(e)] = true
					counting--
				}
			}
		}
		var votes []int64
		sum := 0.0
		near = append(near[:0], n)
		index.each(c.boxes[first], func(m int, _ Box) bool {
			if m > n {
				near = append(near, m)
			}
			return true
		})
		slices.Sort(near)
		for _, m := range near {
			k := order[m]
			if taken[m] || c.classes[k] != c.classes[first] || m > n && overlap(first, k) < iou {
				continue
			}
			taken[m] = true
			if e := c.evaluation[k]; !in[e] {
				in[e] = true
				votes = append(votes, k)
				sum += float64(c.scores[k])
			}
		}
		if score := sum / float64(max(counting, 1)); len(votes) > 0 && score >= least {
			out = append(out, object{votes, float32(score)})
		}
	}
	slices.SortStableFunc(out, func(a, b object) int { return cmp.Compare(b.score, a.score) })
	return out
}
