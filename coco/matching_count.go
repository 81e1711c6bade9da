package coco

import (
	"maps"
	"slices"
)

// A round is a rule for which pairs of a detection and an object fit.
type round struct {
	threshold float32
	strict    bool // the IoU must exceed the threshold
}

func (r round) fits(iou float32) bool { return iou > r.threshold || !r.strict && iou == r.threshold }

// A matchPlan says what is counted.
type matchPlan struct {
	score      float64 // least of a detection
	rounds     []round // of the thresholds, then the Data Science Bowl's
	thresholds []float64
	areas      []AreaRange
}

// plan returns what a Matching needs.
func (o MatchOptions) plan() matchPlan {
	p := matchPlan{score: o.Score, thresholds: o.Thresholds, areas: o.Areas}
	for _, t := range o.Thresholds {
		p.rounds = append(p.rounds, round{float32(t), false})
	}
	for _, t := range linspace(0.5, 0.95, 10) {
		p.rounds = append(p.rounds, round{float32(t), true})
	}
	return p
}

// A bucket is what one image adds to a group.
type bucket struct {
	rounds         []MatchCount
	panoptic       map[int32]MatchCount // by category
	objects, found int
}

// A tally adds up what belongs to a group.
type tally struct {
	counts                 []MatchCount
	panoptic               map[int32]MatchCount
	dsb                    mean
	images, objects, found int
}

func newTally(thresholds []float64) *tally {
	t := &tally{counts: make([]MatchCount, len(thresholds)), panoptic: map[int32]MatchCount{}}
	for i, v := range thresholds {
		t.counts[i].IoU = v
	}
	return t
}

// add adds an image, which counts as one of the group's or not.
func (t *tally) add(b *bucket, counts bool) {
	if counts {
		t.images++
	}
	t.objects += b.objects
	t.found += b.found
	for i := range t.counts {
		t.counts[i].add(b.rounds[i])
	}
	for k, c := range b.panoptic {
		sum := t.panoptic[k]
		sum.add(c)
		t.panoptic[k] = sum
	}
	var ap mean
	for _, c := range b.rounds[len(t.counts):] {
		if v := c.AP(); v > -1 {
			ap.add(v)
		} else {
			ap.add(1) // nothing to find, and nothing found
		}
	}
	t.dsb.add(ap.value())
}

func (t *tally) group(name string) MatchGroup {
	g := MatchGroup{Name: name, Images: t.images, Objects: t.objects, Detections: t.found, Counts: t.counts, DSB: t.dsb.value()}
	var pq, sq, rq mean
	for _, k := range slices.Sorted(maps.Keys(t.panoptic)) {
		c := t.panoptic[k]
		pq.add(c.Quality())
		sq.add(c.MeanIoU())
		rq.add(c.F1())
	}
	g.PQ, g.SQ, g.RQ = pq.value(), sq.value(), rq.value()
	return g
}

// count matches the detections that reach the score and returns what is in the image: in all, by
// category, and by size.
func (s labelScene) count(plan matchPlan) (all *bucket, categories map[int32]*bucket, sizes []*bucket) {
	fresh := func() *bucket {
		return &bucket{rounds: make([]MatchCount, len(plan.rounds)), panoptic: map[int32]MatchCount{}}
	}
	all, categories, sizes = fresh(), map[int32]*bucket{}, make([]*bucket, len(plan.areas))
	for a := range sizes {
		sizes[a] = fresh()
	}
	each := func(r region, do func(b *bucket)) {
		if categories[r.category] == nil {
			categories[r.category] = fresh()
		}
		do(all)
		do(categories[r.category])
		for a, area := range plan.areas {
			if float64(r.area) >= area.Min && float64(r.area) <= area.Max {
				do(sizes[a])
			}
		}
	}
	for i, rule := range plan.rounds {
		s.apart.count(plan.score, rule, func(r region, c MatchCount) {
			each(r, func(b *bucket) {
				b.rounds[i].add(c)
				if i == 0 {
					b.objects += c.TP + c.FN
					b.found += c.TP + c.FP
				}
			})
		})
	}
	if len(plan.rounds) > len(plan.thresholds) {
		s.joint.count(plan.score, plan.rounds[len(plan.thresholds)], func(r region, c MatchCount) {
			each(r, func(b *bucket) {
				sum := b.panoptic[r.category]
				sum.add(c)
				b.panoptic[r.category] = sum
			})
		})
	}
	return all, categories, sizes
}

// count matches the detections that reach the score, and calls add with each pair's object, and with what is left.
func (s *drawing) count(score float64, rule round, add func(r region, c MatchCount)) {
	n := 0
	for n < len(s.found) && s.found[n].score >= score {
		n++
	}
	taken := make([]bool, len(s.objects))
	for f, p := range s.match(n, rule) {
		r := s.found[f]
		switch {
		case p != nil:
			taken[p.object] = true
			add(s.objects[p.object], MatchCount{TP: 1, SumIoU: float64(p.iou)})
		case r.area > 0 && 2*r.crowded <= r.area:
			add(r, MatchCount{FP: 1})
		}
	}
	for g, r := range s.objects {
		if !taken[g] && r.area > 0 {
			add(r, MatchCount{FN: 1})
		}
	}
}
