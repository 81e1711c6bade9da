package coco

import (
	"cmp"
	"maps"
	"math"
	"slices"
)

// An outcome is what became of the detections of one image and category, best
// first, and of its objects.
type outcome struct {
	category int32
	scores   []float64
	matches  []verdict // of detection i and area a at i*areas+a
	objects  []int32   // number of objects that count, by area
}

// A verdict holds a bit for each IoU threshold.
type verdict struct{ matched, ignored uint64 }

// image judges the detections of the i-th image, by ascending category.
func (e *evaluation) image(i int) ([]outcome, error) {
	m := &e.data.Images[e.images[i]]
	truths, found := e.byCategory(i)
	categories := slices.Collect(maps.Keys(truths))
	for k := range found {
		if len(truths[k]) == 0 {
			categories = append(categories, k)
		}
	}
	slices.Sort(categories)
	outcomes := make([]outcome, 0, len(categories))
	for _, k := range categories {
		o, err := e.judge(m, k, truths[k], e.limit(found[k]))
		if err != nil {
			return nil, err
		}
		outcomes = append(outcomes, o)
	}
	return outcomes, nil
}

// byCategory returns the places of the annotations and, best first, of the results
// of the i-th image.
func (e *evaluation) byCategory(i int) (truths, found map[int32][]int32) {
	m := &e.data.Images[e.images[i]]
	truths, found = map[int32][]int32{}, map[int32][]int32{}
	for _, a := range e.truths.of(e.images[i]) {
		if k, ok := e.category[e.data.Annotations[a].CategoryID]; ok {
			truths[k] = append(truths[k], a)
		}
	}
	for _, r := range e.best(e.found.of(e.images[i])) {
		k, ok := e.category[e.results[r].CategoryID]
		if !ok {
			continue
		}
		if e.Style == LVIS && len(truths[k]) == 0 && !slices.Contains(m.NegCategoryIDs, e.results[r].CategoryID) {
			continue // nobody knows whether the image has such objects
		}
		found[k] = append(found[k], r)
	}
	return truths, found
}

// limit leaves as many results of one image and category as count.
func (e *evaluation) limit(results []int32) []int32 {
	if n := e.MaxDets[len(e.MaxDets)-1]; e.Style == COCO && len(results) > n {
		return results[:n]
	}
	return results
}

// unsure reports whether an image may show more objects of a category than are
// annotated.
func (e *evaluation) unsure(m *Image, category int32) bool {
	return e.Style == LVIS && slices.Contains(m.NotExhaustiveCategoryIDs, e.data.Categories[e.categories[category]].ID)
}

// best returns results by descending score, equal scores in the file's order. With LVIS's rules only so many of an image count.
func (e *evaluation) best(results []int32) []int32 {
	out := slices.Clone(results)
	slices.SortStableFunc(out, func(a, b int32) int { return cmp.Compare(e.results[b].Score, e.results[a].Score) })
	if n := e.MaxDets[0]; e.Style == LVIS && n >= 0 && len(out) > n {
		out = out[:n]
	}
	return out
}

// judge matches the detections of one category with the objects of an image, for
// every area and IoU threshold.
func (e *evaluation) judge(m *Image, category int32, annotations, results []int32) (outcome, error) {
	truths, err := e.loadTruths(m, annotations)
	if err != nil {
		return outcome{}, err
	}
	detections, err := e.loadDetections(m, results)
	if err != nil {
		return outcome{}, err
	}
	ious, err := e.overlaps(m, truths, detections)
	if err != nil {
		return outcome{}, err
	}
	areas := len(e.Areas)
	out := outcome{
		category: category,
		scores:   make([]float64, len(detections)),
		matches:  make([]verdict, len(detections)*areas),
		objects:  make([]int32, areas),
	}
	for i, d := range detections {
		out.scores[i] = d.score
	}
	unsure := e.unsure(m, category)
	for a, area := range e.Areas {
		outside := func(v float64) bool { return v < area.Min || v > area.Max }
		ignored := make([]bool, len(truths))
		for g, t := range truths {
			if ignored[g] = t.ignore || outside(t.area); !ignored[g] {
				out.objects[a]++
			}
		}
		for d, v := range match(ious, truths, ignored, e.Thresholds, len(detections)) {
			if unsure || outside(detections[d].area) {
				v.ignored |= ^v.matched
			}
			out.matches[d*areas+a] = v
		}
	}
	return out, nil
}

// match assigns detections to objects at every threshold.
func match(ious [][]float64, truths []truth, ignored []bool, thresholds []float64, n int) []verdict {
	out := make([]verdict, n)
	if n == 0 || len(truths) == 0 {
		return out
	}
	order := make([]int, 0, len(truths))
	for _, last := range []bool{false, true} {
		for g := range truths {
			if ignored[g] == last {
				order = append(order, g)
			}
		}
	}
	taken, assigned := make([]bool, len(truths)), make([]int, n)
	for t, threshold := range thresholds {
		clear(taken)
		assign(ious, truths, ignored, order, threshold, taken, assigned)
		for d, g := range assigned {
			if g < 0 {
				continue
			}
			out[d].matched |= 1 << t
			if ignored[g] {
				out[d].ignored |= 1 << t
			}
		}
	}
	return out
}

// assign gives each detection, best first, the object of the highest IoU that is
// still free (a crowd always is) and at least the threshold, or -1. Objects that
// count take precedence over ignored ones, in the order given; of equal IoU the last wins.
func assign(ious [][]float64, truths []truth, ignored []bool, order []int, threshold float64, taken []bool, assigned []int) {
	for d := range assigned {
		best, at := math.Min(threshold, 1-1e-10), -1
		for _, g := range order {
			if taken[g] && !truths[g].crowd {
				continue
			}
			if at >= 0 && !ignored[at] && ignored[g] {
				break
			}
			if ious[d][g] >= best {
				best, at = ious[d][g], g
			}
		}
		if assigned[d] = at; at >= 0 {
			taken[at] = true
		}
	}
}
