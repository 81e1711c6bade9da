package coco

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/diffusioninst/go/mask"
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

// A truth is an object to find.
type truth struct {
	mask   mask.RLE
	box    [4]float64
	area   float64
	crowd  bool
	ignore bool
}

// A detection is a result to judge.
type detection struct {
	mask  mask.RLE
	box   [4]float64
	area  float64
	score float64
}

// image judges the detections of the i-th image, by ascending category.
func (e *evaluation) image(i int) ([]outcome, error) {
	m := &e.data.Images[e.images[i]]
	truths := map[int32][]int32{}
	for _, a := range e.truths.of(e.images[i]) {
		if k, ok := e.category[e.data.Annotations[a].CategoryID]; ok {
			truths[k] = append(truths[k], a)
		}
	}
	found := map[int32][]int32{}
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
	categories := make([]int32, 0, len(found)+len(truths))
	for k := range truths {
		categories = append(categories, k)
	}
	for k := range found {
		if len(truths[k]) == 0 {
			categories = append(categories, k)
		}
	}
	slices.Sort(categories)
	outcomes := make([]outcome, 0, len(categories))
	for _, k := range categories {
		o, err := e.judge(m, k, truths[k], found[k])
		if err != nil {
			return nil, err
		}
		outcomes = append(outcomes, o)
	}
	return outcomes, nil
}

// best returns results by descending score, those of one score in the file's
// order. With LVIS's rules only so many of an image count.
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
	if n := e.MaxDets[len(e.MaxDets)-1]; e.Style == COCO && len(results) > n {
		results = results[:n]
	}
	truths := make([]truth, len(annotations))
	for i, a := range annotations {
		t, err := e.truth(m, &e.data.Annotations[a])
		if err != nil {
			return outcome{}, Problems{{Record: "annotation", Index: int(a), ID: e.data.Annotations[a].ID, Message: err.Error()}}
		}
		truths[i] = t
	}
	detections := make([]detection, len(results))
	for i, r := range results {
		d, err := e.detection(m, &e.results[r])
		if err != nil {
			return outcome{}, Problems{{Record: "result", Index: int(r), ID: m.ID, Message: err.Error()}}
		}
		detections[i] = d
	}
	ious, err := e.overlaps(m, truths, detections)
	if err != nil {
		return outcome{}, fmt.Errorf("coco: image %d: %w", m.ID, err)
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
	unsure := e.Style == LVIS && slices.Contains(m.NotExhaustiveCategoryIDs, e.data.Categories[e.categories[category]].ID)
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

// match gives each detection, best first, the object of the highest IoU that is
// still free (a crowd always is) and at least the threshold. Objects that count
// go before ignored ones; of equal IoU the last wins.
func match(ious [][]float64, truths []truth, ignored []bool, thresholds []float64, n int) []verdict {
	out := make([]verdict, n)
	if len(truths) == 0 {
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
	taken := make([]bool, len(truths))
	for t, threshold := range thresholds {
		clear(taken)
		for d := range out {
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
			if at < 0 {
				continue
			}
			taken[at] = true
			out[d].matched |= 1 << t
			if ignored[at] {
				out[d].ignored |= 1 << t
			}
		}
	}
	return out
}

// overlaps is the IoU of detections (rows) and objects.
func (e *evaluation) overlaps(m *Image, truths []truth, detections []detection) ([][]float64, error) {
	if len(truths) == 0 || len(detections) == 0 {
		return nil, nil
	}
	crowd := make([]bool, len(truths))
	dt, gt := make([]mask.RLE, len(detections)), make([]mask.RLE, len(truths))
	dtBox, gtBox := make([][4]float64, len(detections)), make([][4]float64, len(truths))
	for i, t := range truths {
		crowd[i], gt[i], gtBox[i] = t.crowd, t.mask, t.box
	}
	for i, d := range detections {
		dt[i], dtBox[i] = d.mask, d.box
	}
	if e.IoU == BBox {
		return mask.BoxIoU(dtBox, gtBox, crowd), nil
	}
	ious, err := mask.IoU(dt, gt, crowd)
	if err != nil || e.IoU == Segm {
		return ious, err
	}
	width := e.boundaryWidth(m.Width, m.Height)
	for _, list := range [][]mask.RLE{dt, gt} {
		for i, r := range list {
			list[i] = r.Bitmap().Boundary(width).RLE()
		}
	}
	edges, err := mask.IoU(dt, gt, crowd)
	if err != nil {
		return nil, err
	}
	for i := range ious {
		for j := range ious[i] {
			if !crowd[j] { // a crowd keeps the IoU of masks
				ious[i][j] = math.Min(ious[i][j], edges[i][j])
			}
		}
	}
	return ious, nil
}

func (e *evaluation) truth(m *Image, a *Annotation) (t truth, err error) {
	t = truth{box: a.BBox, area: a.Area, crowd: a.Crowd, ignore: a.Crowd}
	if e.Style == LVIS {
		t.crowd, t.ignore = false, a.Ignore
	}
	if a.HasArea && !(a.Area >= 0 && a.Area <= math.MaxFloat64) {
		return t, fmt.Errorf("area %v", a.Area)
	}
	if e.IoU == BBox && a.HasBBox {
		if text := boxProblem(a.BBox); text != "" {
			return t, fmt.Errorf("%s", text)
		}
		if a.HasArea {
			return t, nil
		}
		if a.Segmentation.Empty() {
			t.area = a.BBox[2] * a.BBox[3]
			return t, nil
		}
	}
	if t.mask, err = a.Segmentation.RLE(m.Width, m.Height); err != nil {
		return t, err
	}
	if !a.HasBBox {
		t.box[0], t.box[1], t.box[2], t.box[3] = t.mask.BBox()
	}
	if !a.HasArea {
		t.area = float64(t.mask.Area())
	}
	return t, nil
}

func (e *evaluation) detection(m *Image, r *Result) (d detection, err error) {
	d = detection{box: r.BBox, score: r.Score, area: r.BBox[2] * r.BBox[3]}
	if e.IoU == BBox && r.HasBBox && e.boxAreas {
		return d, nil
	}
	if !r.Segmentation.Empty() {
		if d.mask, err = r.Segmentation.RLE(m.Width, m.Height); err != nil {
			return d, err
		}
		if !r.HasBBox {
			d.box[0], d.box[1], d.box[2], d.box[3] = d.mask.BBox()
		}
		if !e.boxAreas || !r.HasBBox {
			d.area = float64(d.mask.Area())
		}
	}
	return d, nil
}

// boxProblem says what is wrong with a box, if anything.
func boxProblem(b [4]float64) string {
	for _, v := range b {
		if !isFinite(v) {
			return fmt.Sprintf("box %v is not finite", b)
		}
	}
	if b[2] < 0 || b[3] < 0 {
		return fmt.Sprintf("box %v has a negative side", b)
	}
	return ""
}

func isFinite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
