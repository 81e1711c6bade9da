package coco

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
)

// MatchOptions are the settings of MatchInstances. The zero value of each field is the
// default, a negative number none.
type MatchOptions struct {
	// Score is the least score of a detection that counts: 0.5; negative for all. See
	// ChooseScore.
	Score float64

	// Thresholds are the IoU from which a detection finds an object; default
	// 0.5, 0.55, …, 0.95.
	Thresholds []float64

	// Areas are the object sizes to report; default small, medium and large of
	// StandardAreas, but an area at a border is of the larger size only.
	Areas []AreaRange

	// Kind returns the kind of an image, such as "fluorescence", for figures by kind. nil
	// means no kinds; images of the kind "" count only in the figures of all.
	Kind func(*Image) string

	// Images are the ids of the images to evaluate; nil for all.
	Images []int64

	// Workers is how many goroutines work at once, by default as many as the program has
	// processors. The figures do not depend on it.
	Workers int
}

func (o MatchOptions) withDefaults() (MatchOptions, error) {
	if o.Score == 0 {
		o.Score = 0.5
	}
	if math.IsNaN(o.Score) || o.Score > 1 {
		return o, fmt.Errorf("coco: least score %v: no score exceeds 1", o.Score)
	}
	if o.Areas == nil {
		o.Areas = StandardAreas()[1:]
		for i := range o.Areas[:2] {
			o.Areas[i].Max-- // an object counts in one size
		}
	}
	if err := checkAreas(o.Areas); err != nil {
		return o, err
	}
	with, err := Options{Thresholds: o.Thresholds}.withDefaults()
	o.Thresholds = with.Thresholds
	return o, err
}

// A Matching is how well a segmentation, detections above a fixed score, agrees with the
// objects of a data set. It is the result of MatchInstances.
type Matching struct {
	// Score is the least score of the detections that count.
	Score float64

	// All is about everything, Kinds about the images of each kind, by name, Areas about the
	// objects of each size, and Categories about each category, by ascending id.
	All                      MatchGroup
	Kinds, Areas, Categories []MatchGroup
}

// A MatchGroup holds the figures of some images, objects or categories.
type MatchGroup struct {
	Name string

	// Images, Objects and Detections are how many count, at the first threshold: TP+FN and TP+FP. Of a category and
	// of a size, images are those with objects or detections of it.
	Images, Objects, Detections int

	// Counts are by IoU threshold, over all images and categories of the group together.
	Counts []MatchCount

	// PQ is the panoptic quality SQ·RQ of Kirillov et al. (arXiv 1801.00868, equation 1):
	// pairs of an IoU above 0.5 are matched, SQ is their mean IoU and RQ their F1. Each is
	// the mean over the categories that have objects or detections; -1 if none has.
	PQ, SQ, RQ float64

	// DSB is the score of the Data Science Bowl 2018: of each image the mean over the IoU
	// thresholds 0.5, 0.55, …, 0.95 of TP/(TP+FP+FN), where an IoU must exceed the threshold,
	// and of these the mean over the images. An image with neither objects nor detections,
	// which the definition does not cover, scores 1. It is -1 for sizes and without images.
	DSB float64
}

// MeanAP returns the mean of AP over the thresholds from 0.5 to 0.9, which StarDist and
// Cellpose quote; -1 if there are none.
func (g MatchGroup) MeanAP() float64 {
	var m mean
	for _, c := range g.Counts {
		if c.IoU > 0.5-1e-9 && c.IoU < 0.9+1e-9 {
			m.add(c.AP())
		}
	}
	return m.value()
}

// At returns the counts at an IoU threshold and reports whether there are any.
func (g MatchGroup) At(iou float64) (MatchCount, bool) {
	i := slices.IndexFunc(g.Counts, func(c MatchCount) bool { return math.Abs(c.IoU-iou) < 1e-9 })
	if i < 0 {
		return MatchCount{}, false
	}
	return g.Counts[i], true
}

// A MatchCount is how many objects are found at one IoU threshold. All figures made of it are
// 0 without a true positive, and -1 if there is nothing to find and nothing was detected.
type MatchCount struct {
	IoU    float64 // from which a detection finds an object
	TP     int     // pairs of a detection and an object
	FP     int     // detections without an object
	FN     int     // objects without a detection
	SumIoU float64 // of the pairs
}

// AP returns TP/(TP+FP+FN): the average precision of StarDist (its "accuracy"), Cellpose and
// the Data Science Bowl. It is not COCO's, which needs no fixed score.
func (c MatchCount) AP() float64 { return c.ratio(float64(c.TP), c.TP+c.FP+c.FN) }

// F1 returns 2·TP/(2·TP+FP+FN).
func (c MatchCount) F1() float64 { return c.ratio(2*float64(c.TP), 2*c.TP+c.FP+c.FN) }

// Precision returns TP/(TP+FP).
func (c MatchCount) Precision() float64 { return c.ratio(float64(c.TP), c.TP+c.FP) }

// Recall returns TP/(TP+FN).
func (c MatchCount) Recall() float64 { return c.ratio(float64(c.TP), c.TP+c.FN) }

// MeanIoU returns the mean IoU of the pairs (StarDist's mean_matched_score, the SQ of a
// panoptic quality).
func (c MatchCount) MeanIoU() float64 { return c.ratio(c.SumIoU, c.TP) }

// Quality returns the sum of IoU over TP + FP/2 + FN/2 (StarDist's panoptic_quality).
func (c MatchCount) Quality() float64 { return c.ratio(2*c.SumIoU, 2*c.TP+c.FP+c.FN) }

func (c MatchCount) ratio(part float64, whole int) float64 {
	switch {
	case c.TP+c.FP+c.FN == 0:
		return -1
	case c.TP == 0:
		return 0
	}
	return part / float64(whole)
}

func (c *MatchCount) add(o MatchCount) {
	c.TP += o.TP
	c.FP += o.FP
	c.FN += o.FN
	c.SumIoU += o.SumIoU
}

// MatchInstances compares the detections that reach a score with the objects of d, as label
// images of each category are compared: where masks of one category overlap, the pixels belong to the detection of the best
// score, or to the last of several objects, and what no pixel is left of does not count. For the panoptic quality there is one
// label image of all categories, as its definition has it.
// Within each category detections and objects are matched one to one: as many pairs of at
// least the threshold's IoU as possible, of the greatest sum of IoU, as in stardist.matching
// (Schmidt et al., arXiv 1806.03535). By size an object counts where its area belongs, with
// the detection that finds it, and a detection without an object where its own does.
//
// Crowds are not objects, and a detection without an object of which more than half lies on
// crowds of its category does not count. What Evaluate refuses is refused.
func MatchInstances(ctx context.Context, d *Dataset, results []Result, o MatchOptions) (*Matching, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	e, scenes, err := labelScenes(ctx, d, results, o)
	if err != nil {
		return nil, err
	}
	all, kinds := newTally(o.Thresholds), map[string]*tally{}
	sizes, categories := make([]*tally, len(o.Areas)), make([]*tally, len(e.categories))
	for a := range sizes {
		sizes[a] = newTally(o.Thresholds)
	}
	for k := range categories {
		categories[k] = newTally(o.Thresholds)
	}
	plan := o.plan()
	for i := range scenes {
		whole, ofCategory, ofSize := scenes[i].count(plan)
		all.add(whole, true)
		if o.Kind != nil {
			if kind := o.Kind(&d.Images[e.images[i]]); kind != "" {
				if kinds[kind] == nil {
					kinds[kind] = newTally(o.Thresholds)
				}
				kinds[kind].add(whole, true)
			}
		}
		for k, b := range ofCategory {
			categories[k].add(b, true)
		}
		for a, b := range ofSize {
			sizes[a].add(b, b.objects+b.found > 0)
		}
	}
	out := &Matching{Score: o.Score, All: all.group("all")}
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		out.Kinds = append(out.Kinds, kinds[name].group(name))
	}
	for a, t := range sizes {
		g := t.group(o.Areas[a].Name)
		g.DSB = -1
		out.Areas = append(out.Areas, g)
	}
	for k, t := range categories {
		out.Categories = append(out.Categories, t.group(d.Categories[e.categories[k]].Name))
	}
	return out, nil
}

// ChooseScore returns the least score with which MatchInstances gives the best mean AP over the
// IoU thresholds from 0.5 to 0.9, and that AP. Candidates are 0.01, 0.02, …, 0.99, from the last one below or at the
// least score of a detection on; of neighbours that are equally good, the middle one. The data set should not be the one that is
// evaluated with it. o.Score, o.Areas and o.Kind are not used.
func ChooseScore(ctx context.Context, d *Dataset, results []Result, o MatchOptions) (score, ap float64, err error) {
	o.Score, o.Thresholds, o.Areas = -1, linspace(0.5, 0.9, 9), []AreaRange{}
	if o, err = o.withDefaults(); err != nil {
		return 0, 0, err
	}
	_, scenes, err := labelScenes(ctx, d, results, o)
	if err != nil {
		return 0, 0, err
	}
	const candidates = 99
	values, err := forEach(ctx, o.Workers, candidates, func(i int) (float64, error) {
		plan, t := o.plan(), newTally(o.Thresholds)
		plan.score = float64(i+1) / 100
		plan.rounds = plan.rounds[:len(o.Thresholds)]
		for n := range scenes {
			whole, _, _ := scenes[n].count(plan)
			t.add(whole, true)
		}
		return t.group("").MeanAP(), nil
	})
	if err != nil {
		return 0, 0, err
	}
	best := slices.Max(values)
	if best <= 0 {
		return 0, 0, fmt.Errorf("coco: no score is better than another: none of the %d detections finds an object", len(results))
	}
	first := max(slices.Index(values, best), leastCandidate(results))
	last := first
	for last+1 < candidates && values[last+1] == best {
		last++
	}
	return float64((first+last)/2+1) / 100, best, nil
}

// leastCandidate is the index of the last candidate of ChooseScore that leaves out no detection: nothing is known below it.
func leastCandidate(results []Result) int {
	least := 1.
	for i := range results {
		least = min(least, results[i].Score)
	}
	return min(max(int(math.Floor(least*100+1e-6)), 1), 99) - 1
}
