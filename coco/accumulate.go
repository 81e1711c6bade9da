package coco

import (
	"cmp"
	"context"
	"slices"
)

// A curve holds what a Report needs of one category: the precision at each recall
// threshold (threshold, recall, area, maxDets), the scores there, and the recall
// reached (threshold, area, maxDets). All are -1 where there is nothing to find.
type curve struct {
	precision, scores, recall []float64
	objects                   []int // that count, by area
	detections                int
}

// accumulate joins the outcomes of the images, in the order of their ids.
func (e *evaluation) accumulate(ctx context.Context, images [][]outcome) (*Report, error) {
	byCategory := make([][]*outcome, len(e.categories))
	for i := range images {
		for j := range images[i] {
			o := &images[i][j]
			byCategory[o.category] = append(byCategory[o.category], o)
		}
	}
	curves, err := forEach(ctx, e.Workers, len(e.categories), func(k int) (curve, error) {
		return e.curve(byCategory[k]), nil
	})
	if err != nil {
		return nil, err
	}
	return e.report(curves), nil
}

// A ranked detection is one among the detections of all images.
type ranked struct {
	score   float64
	verdict []verdict // by area
}

func (e *evaluation) curve(outcomes []*outcome) curve {
	T, R, A, M := len(e.Thresholds), len(e.RecallThresholds), len(e.Areas), len(e.MaxDets)
	c := curve{
		precision: absent(T * R * A * M),
		scores:    absent(T * R * A * M),
		recall:    absent(T * A * M),
		objects:   make([]int, A),
	}
	for _, o := range outcomes {
		c.detections += len(o.scores)
		for a, n := range o.objects {
			c.objects[a] += int(n)
		}
	}
	for m, limit := range e.MaxDets {
		all := make([]ranked, 0, c.detections)
		for _, o := range outcomes {
			n := len(o.scores)
			if e.Style == COCO {
				n = min(n, limit)
			}
			for i, score := range o.scores[:n] {
				all = append(all, ranked{score, o.matches[i*A:][:A]})
			}
		}
		slices.SortStableFunc(all, func(a, b ranked) int { return cmp.Compare(b.score, a.score) })
		recall, precision := make([]float64, len(all)), make([]float64, len(all))
		for a := range A {
			if c.objects[a] == 0 {
				continue
			}
			for t := range T {
				rate(all, a, t, c.objects[a], recall, precision)
				reached := 0.0
				if len(all) > 0 {
					reached = recall[len(all)-1]
				}
				c.recall[(t*A+a)*M+m] = reached
				i := 0
				for r, at := range e.RecallThresholds {
					for i < len(all) && recall[i] < at {
						i++
					}
					p, s := 0.0, 0.0
					if i < len(all) {
						p, s = precision[i], all[i].score
					}
					c.precision[((t*R+r)*A+a)*M+m] = p
					c.scores[((t*R+r)*A+a)*M+m] = s
				}
			}
		}
	}
	return c
}

// rate computes recall and precision after each detection; the precision is made
// to fall with the recall: it is the best at this recall or more.
func rate(all []ranked, area, threshold, objects int, recall, precision []float64) {
	const epsilon = 0x1p-52 // keeps 0/0 out, as in the COCO API
	var tp, fp float64
	for i, d := range all {
		v := d.verdict[area]
		if v.ignored>>threshold&1 == 0 {
			if v.matched>>threshold&1 == 1 {
				tp++
			} else {
				fp++
			}
		}
		recall[i] = tp / float64(objects)
		precision[i] = tp / (fp + tp + epsilon)
	}
	for i := len(all) - 1; i > 0; i-- {
		precision[i-1] = max(precision[i-1], precision[i])
	}
}

// absent is n times -1.
func absent(n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = -1
	}
	return out
}
