package coco

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/diffusioninst/go/mask"
)

// A labelScene is an image as label images. Those of apart are of one category each, so that masks hide others of
// their own only; that of joint is of all, as panoptic quality has it. With one category both are the same.
type labelScene struct{ apart, joint *drawing }

// A drawing is what is seen of objects and of detections.
type drawing struct {
	objects []region
	found   []region // best score first
	pairs   []pair   // of one category, with pixels in common
}

// A region is what is seen of a mask.
type region struct {
	category int32
	score    float64
	area     int
	crowded  int // pixels on crowds of its category
}

// A pair is a detection and an object with pixels in common.
type pair struct {
	found, object int32
	iou           float32 // in StarDist's precision, which decides at a threshold
}

// labelScenes returns the images to evaluate with the detections that reach a score.
func labelScenes(ctx context.Context, d *Dataset, results []Result, o MatchOptions) (*evaluation, []labelScene, error) {
	with, err := Options{Images: o.Images}.withDefaults()
	if err != nil {
		return nil, nil, err
	}
	e, err := newEvaluation(d, results, with)
	if err != nil {
		return nil, nil, err
	}
	scenes, err := forEach(ctx, o.Workers, len(e.images), func(i int) (labelScene, error) { return e.labelScene(i, o.Score) })
	return e, scenes, err
}

// labelScene draws the i-th image. What is seen of a detection depends on better ones only, so
// that a higher score leaves out the last ones and changes no other.
func (e *evaluation) labelScene(i int, score float64) (s labelScene, err error) {
	m := &e.data.Images[e.images[i]]
	if float64(m.Width)*float64(m.Height) > maxBoundary {
		return s, fmt.Errorf("coco: image %d: label images of %d×%d pixels, the limit is %d pixels", m.ID, m.Width, m.Height, maxBoundary)
	}
	annotations := e.truths.of(e.images[i])
	truths, err := e.loadTruths(m, annotations)
	if err != nil {
		return s, err
	}
	results := slices.DeleteFunc(slices.Clone(e.found.of(e.images[i])), func(r int32) bool { return e.results[r].Score < score })
	slices.SortStableFunc(results, func(a, b int32) int { return cmp.Compare(e.results[b].Score, e.results[a].Score) })
	detections, err := e.loadDetections(m, results)
	if err != nil {
		return s, err
	}
	of := sketch{labels: [2][]int32{make([]int32, m.Width*m.Height), make([]int32, m.Width*m.Height)}, crowds: map[int32][]mask.RLE{}}
	categories := map[int32]bool{}
	for g, t := range truths {
		k := e.category[e.data.Annotations[annotations[g]].CategoryID]
		if t.crowd {
			of.crowds[k] = append(of.crowds[k], t.mask)
			continue
		}
		categories[k] = true
		of.objects, of.truths = append(of.objects, region{category: k}), append(of.truths, t.mask)
	}
	for n, r := range results {
		k := e.category[e.results[r].CategoryID]
		categories[k] = true
		of.found, of.masks = append(of.found, region{category: k, score: detections[n].score}), append(of.masks, detections[n].mask)
	}
	every := slices.Sorted(maps.Keys(categories))
	s.joint = of.draw(every)
	s.apart = s.joint
	if len(every) > 1 {
		var apart [][]int32
		for _, k := range every {
			apart = append(apart, []int32{k})
		}
		s.apart = of.draw(apart...)
	}
	return s, nil
}

// A sketch is what label images are drawn of.
type sketch struct {
	objects, found []region // of which nothing is seen yet
	truths, masks  []mask.RLE
	crowds         map[int32][]mask.RLE // by category
	labels         [2][]int32           // to draw in
}

// draw returns what is seen of everything if the categories of each group are drawn into label images of their own.
func (c *sketch) draw(groups ...[]int32) *drawing {
	s := &drawing{objects: slices.Clone(c.objects), found: slices.Clone(c.found)}
	objects, found := c.labels[0], c.labels[1]
	for _, group := range groups {
		clear(objects)
		clear(found)
		for g, r := range c.truths {
			if slices.Contains(group, s.objects[g].category) {
				draw(objects, r, int32(g+1))
			}
		}
		for n := len(c.masks) - 1; n >= 0; n-- {
			if slices.Contains(group, s.found[n].category) {
				draw(found, c.masks[n], int32(n+1))
			}
		}
		s.overlap(objects, found)
		for _, k := range group {
			if len(c.crowds[k]) == 0 {
				continue
			}
			clear(objects)
			for _, r := range c.crowds[k] {
				draw(objects, r, 1)
			}
			for at, n := range found {
				if n > 0 && objects[at] > 0 && s.found[n-1].category == k {
					s.found[n-1].crowded++
				}
			}
		}
	}
	slices.SortFunc(s.pairs, func(a, b pair) int {
		return cmp.Or(cmp.Compare(a.found, b.found), cmp.Compare(a.object, b.object))
	})
	return s
}

// draw sets the pixels of a mask, in the order of run lengths, to a label.
func draw(labels []int32, r mask.RLE, label int32) {
	at := 0
	for i, n := range r.Counts {
		if i&1 == 1 {
			for p := range int(n) {
				labels[at+p] = label
			}
		}
		at += int(n)
	}
}

// overlap measures the regions of two label images and their pairs, which it adds.
func (s *drawing) overlap(objects, found []int32) {
	common := map[pair]int{}
	for at := 0; at < len(found); {
		f, g, from := found[at], objects[at], at
		for at < len(found) && found[at] == f && objects[at] == g {
			at++
		}
		if f > 0 {
			s.found[f-1].area += at - from
		}
		if g > 0 {
			s.objects[g-1].area += at - from
		}
		if f > 0 && g > 0 && s.found[f-1].category == s.objects[g-1].category {
			common[pair{found: f - 1, object: g - 1}] += at - from
		}
	}
	for p, n := range common {
		p.iou = float32(float64(n) / float64(s.found[p.found].area+s.objects[p.object].area-n))
		s.pairs = append(s.pairs, p)
	}
}

// match returns for each of the first n detections the pair that it makes with an object, or
// nil.
func (s *drawing) match(n int, at round) []*pair {
	out := make([]*pair, n)
	// From 0.5 on, pairs that fit share a detection or an object only if all have exactly 0.5.
	// Below, pairs that do not fit, too, decide between equally many that do.
	var pairs []*pair
	for i := range s.pairs {
		if p := &s.pairs[i]; int(p.found) < n && (at.threshold < 0.5 || at.fits(p.iou)) {
			pairs = append(pairs, p)
		}
	}
	for _, group := range connected(pairs) {
		if len(group) > 1 {
			group = best(group, at)
		}
		for _, p := range group {
			if at.fits(p.iou) {
				out[p.found] = p
			}
		}
	}
	return out
}

// connected splits pairs, in the order of their detections, into groups that share no
// detection and no object.
func connected(pairs []*pair) [][]*pair {
	parent := make([]int, len(pairs))
	root := func(i int) int {
		for parent[i] != i {
			parent[i] = parent[parent[i]]
			i = parent[i]
		}
		return i
	}
	found, object := map[int32]int{}, map[int32]int{}
	for i, p := range pairs {
		parent[i] = i
		for _, first := range []struct {
			of map[int32]int
			at int32
		}{{found, p.found}, {object, p.object}} {
			if j, ok := first.of[first.at]; ok {
				parent[root(i)] = root(j)
			} else {
				first.of[first.at] = i
			}
		}
	}
	groups := map[int][]*pair{}
	for i, p := range pairs {
		groups[root(i)] = append(groups[root(i)], p)
	}
	out := make([][]*pair, 0, len(groups))
	for i := range pairs {
		if g, ok := groups[i]; ok {
			out = append(out, g)
		}
	}
	return out
}

// best returns the pairs of one group that are matched: most that fit, and of these the
// greatest sum of IoU, of pairs that do not fit, too.
func best(group []*pair, at round) []*pair {
	rows, columns := map[int32]int{}, map[int32]int{}
	for _, p := range group {
		if _, ok := rows[p.found]; !ok {
			rows[p.found] = len(rows)
		}
		if _, ok := columns[p.object]; !ok {
			columns[p.object] = len(columns)
		}
	}
	values, of := zeros(len(rows), len(columns)), map[[2]int]*pair{}
	for _, p := range group {
		i, j := rows[p.found], columns[p.object]
		values[i][j] = float64(p.iou) / float64(2*min(len(rows), len(columns)))
		if at.fits(p.iou) {
			values[i][j]++
		}
		of[[2]int{i, j}] = p
	}
	var out []*pair
	for i, j := range assignment(values) {
		if p := of[[2]int{i, j}]; p != nil {
			out = append(out, p)
		}
	}
	return out
}
