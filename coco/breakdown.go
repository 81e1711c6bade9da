package coco

import (
	"cmp"
	"context"
	"maps"
	"math"
	"slices"
)

// An ErrorKind is a kind of detection error, as defined by TIDE.
type ErrorKind string

const (
	Classification ErrorKind = "classification" // on an object of another category
	Localisation   ErrorKind = "localisation"   // near an object of its category
	BothWrong      ErrorKind = "both"           // near an object of another category
	Duplicate      ErrorKind = "duplicate"      // on an object that is found already
	Background     ErrorKind = "background"     // on nothing
	Missed         ErrorKind = "missed"         // an object that none of these would have found
)

// ErrorKinds lists all kinds of errors.
var ErrorKinds = []ErrorKind{Classification, Localisation, BothWrong, Duplicate, Background, Missed}

// A Breakdown counts a detector's errors by kind and says what each kind costs in AP.
type Breakdown struct {
	// A detection is on an object from an IoU of On, near it from one of Near.
	On   float64 `json:"on"`
	Near float64 `json:"near"`

	// AP is the average precision at the IoU On, over all sizes of objects.
	AP float64 `json:"ap"`

	// Errors are in the order of ErrorKinds.
	Errors []ErrorShare `json:"errors"`
}

// An ErrorShare is the part of one kind of error.
type ErrorShare struct {
	Kind ErrorKind `json:"kind"`

	// Count is the number of detections, or of missed objects.
	Count int `json:"count"`

	// DeltaAP is how much the AP would rise without these errors: detections of a
	// wrong class or place are put right, or dropped if their object is found by a
	// better one; other wrong detections are dropped; missed objects are no longer
	// expected.
	DeltaAP float64 `json:"delta_ap"`
}

// Analyze breaks the errors of detections down by kind, after Bolya et al., TIDE: A
// General Toolbox for Identifying Object Detection Errors, arXiv 2008.08115, with
// their thresholds: on an object from an IoU of 0.5, near it from 0.1. The
// Thresholds, Areas and RecallThresholds of o are not used; what Evaluate refuses
// is refused.
func Analyze(ctx context.Context, d *Dataset, results []Result, o Options) (*Breakdown, error) {
	o.Thresholds, o.Areas, o.RecallThresholds = nil, nil, nil
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	e, err := newEvaluation(d, results, o)
	if err != nil {
		return nil, err
	}
	scenes, err := forEach(ctx, o.Workers, len(e.images), e.scene)
	if err != nil {
		return nil, err
	}
	out := &Breakdown{On: on, Near: near, AP: e.apWithout("", scenes)}
	for _, kind := range ErrorKinds {
		s := ErrorShare{Kind: kind, DeltaAP: e.apWithout(kind, scenes) - out.AP}
		for i := range scenes {
			s.Count += scenes[i].count(kind)
		}
		out.Errors = append(out.Errors, s)
	}
	return out, nil
}

const on, near = 0.5, 0.1

// A scene is what an image's detections are, best first, and its objects that count.
type scene struct {
	finds   []find
	objects []object
}

type find struct {
	score    float64
	category int32
	object   int       // found, or the one that it is on or near; -1 for none
	err      ErrorKind // "" for a true positive
}

type object struct {
	category      int32
	found, missed bool
}

func (s *scene) count(kind ErrorKind) int {
	n := 0
	for _, f := range s.finds {
		if f.err == kind {
			n++
		}
	}
	if kind == Missed {
		for _, o := range s.objects {
			if o.missed {
				n++
			}
		}
	}
	return n
}

// scene sorts the detections of the i-th image.
func (e *evaluation) scene(i int) (scene, error) {
	m := &e.data.Images[e.images[i]]
	truths, found := e.byCategory(i)
	var all []truth
	var of []int32 // their categories
	for _, k := range slices.Sorted(maps.Keys(truths)) {
		list, err := e.loadTruths(m, truths[k])
		if err != nil {
			return scene{}, err
		}
		for _, t := range list {
			all, of = append(all, t), append(of, k)
		}
	}
	var s scene
	number := make([]int, len(all)) // in s.objects
	for g, t := range all {
		if number[g] = -1; !t.ignore {
			number[g] = len(s.objects)
			s.objects = append(s.objects, object{category: of[g]})
		}
	}
	for _, k := range slices.Sorted(maps.Keys(found)) {
		detections, err := e.loadDetections(m, e.limit(found[k]))
		if err != nil {
			return scene{}, err
		}
		ious, err := e.overlaps(m, all, detections)
		if err != nil {
			return scene{}, err
		}
		if ious == nil {
			ious = make([][]float64, len(detections))
		}
		s.sort(k, detections, ious, all, of, number, e.unsure(m, k))
	}
	for n := range s.objects {
		s.objects[n].missed = !s.objects[n].found
	}
	for _, f := range s.finds {
		if f.err == Classification || f.err == Localisation {
			s.objects[f.object].missed = false
		}
	}
	slices.SortStableFunc(s.finds, func(a, b find) int { return cmp.Compare(b.score, a.score) })
	return s, nil
}

// sort adds the detections of category k to the scene. With unsure those that
// find nothing do not count.
func (s *scene) sort(k int32, detections []detection, ious [][]float64, truths []truth, of []int32, number []int, unsure bool) {
	var order []int // own objects, those that count first
	ignored := make([]bool, len(truths))
	for _, last := range []bool{false, true} {
		for g := range truths {
			if ignored[g] = truths[g].ignore; of[g] == k && ignored[g] == last {
				order = append(order, g)
			}
		}
	}
	taken, assigned := make([]bool, len(truths)), make([]int, len(detections))
	assign(ious, truths, ignored, order, on, taken, assigned)
	for _, g := range assigned {
		if g >= 0 && number[g] >= 0 {
			s.objects[number[g]].found = true
		}
	}
	for d, g := range assigned {
		f := find{score: detections[d].score, category: k, object: -1}
		switch {
		case g >= 0 && number[g] < 0 || g < 0 && unsure:
			continue // on a crowd, or where nobody knows
		case g >= 0:
			f.object = number[g]
		default:
			f.err, f.object = classify(k, ious[d], of, number)
		}
		s.finds = append(s.finds, f)
	}
}

// classify names the error of a detection of category k that finds nothing, and
// the object it is about.
func classify(k int32, ious []float64, of []int32, number []int) (ErrorKind, int) {
	var own, other float64
	ownAt, otherAt := -1, -1
	for g, v := range ious {
		switch {
		case number[g] < 0:
		case of[g] == k && (ownAt < 0 || v > own):
			own, ownAt = v, number[g]
		case of[g] != k && (otherAt < 0 || v > other):
			other, otherAt = v, number[g]
		}
	}
	switch {
	case own >= near && own < on:
		return Localisation, ownAt
	case other >= on:
		return Classification, otherAt
	case own >= on:
		return Duplicate, ownAt
	case other >= near:
		return BothWrong, otherAt
	}
	return Background, -1
}

// apWithout is the mean AP at the IoU on with the errors of one kind put right.
func (e *evaluation) apWithout(kind ErrorKind, scenes []scene) float64 {
	type hit struct {
		score float64
		true  bool
	}
	hits, objects := make([][]hit, len(e.categories)), make([]int, len(e.categories))
	exists := make([]bool, len(e.categories))
	for i := range scenes {
		s := &scenes[i]
		found := make([]bool, len(s.objects))
		for n, o := range s.objects {
			found[n] = o.found
			exists[o.category] = true
			if kind != Missed || !o.missed {
				objects[o.category]++
			}
		}
		for _, f := range s.finds {
			h, category := hit{f.score, f.err == ""}, f.category
			if f.err != "" && f.err == kind {
				if kind != Classification && kind != Localisation || found[f.object] {
					continue
				}
				found[f.object] = true
				h.true, category = true, s.objects[f.object].category
			}
			hits[category] = append(hits[category], h)
		}
	}
	var sum mean
	for k, list := range hits {
		if !exists[k] {
			continue
		}
		if objects[k] == 0 { // all were missed
			sum.add(1)
			continue
		}
		slices.SortStableFunc(list, func(a, b hit) int { return cmp.Compare(b.score, a.score) })
		recall, precision := make([]float64, len(list)), make([]float64, len(list))
		n := 0.0
		for i, h := range list {
			if h.true {
				n++
			}
			recall[i], precision[i] = n/float64(objects[k]), n/float64(i+1)
		}
		for i := len(list) - 1; i > 0; i-- {
			precision[i-1] = math.Max(precision[i-1], precision[i])
		}
		var ap float64
		i := 0
		for _, at := range e.RecallThresholds {
			for i < len(list) && recall[i] < at {
				i++
			}
			if i < len(list) {
				ap += precision[i]
			}
		}
		sum.add(ap / float64(len(e.RecallThresholds)))
	}
	return sum.value()
}
