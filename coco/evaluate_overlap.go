package coco

import (
	"fmt"
	"math"

	"github.com/diffusioninst/go/mask"
)

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
	if err != nil {
		return nil, fmt.Errorf("coco: image %d: %w", m.ID, err)
	}
	if e.IoU == Segm {
		return ious, nil
	}
	if float64(m.Width)*float64(m.Height) > maxBoundary {
		return nil, fmt.Errorf("coco: image %d: outlines of masks of %d×%d pixels, the limit is %d pixels", m.ID, m.Width, m.Height, maxBoundary)
	}
	width := e.boundaryWidth(m.Width, m.Height)
	for _, list := range [][]mask.RLE{dt, gt} {
		for i, r := range list {
			list[i] = boundary(r, width)
		}
	}
	edges, err := mask.IoU(dt, gt, crowd)
	if err != nil {
		return nil, fmt.Errorf("coco: image %d: %w", m.ID, err)
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

// maxBoundary bounds the pixels of masks whose outlines are compared, which are drawn for
// that: 32 MB each.
const maxBoundary = 1 << 28

func (e *evaluation) loadTruths(m *Image, annotations []int32) ([]truth, error) {
	out := make([]truth, len(annotations))
	for i, a := range annotations {
		t, err := e.truth(m, &e.data.Annotations[a])
		if err != nil {
			return nil, problem("annotation", int(a), &e.data.Annotations[a], err)
		}
		out[i] = t
	}
	return out, nil
}

func (e *evaluation) loadDetections(m *Image, results []int32) ([]detection, error) {
	out := make([]detection, len(results))
	for i, r := range results {
		d, err := e.detection(m, &e.results[r])
		if err != nil {
			return nil, problem("result", int(r), &e.results[r], err)
		}
		out[i] = d
	}
	return out, nil
}

func (e *evaluation) truth(m *Image, a *Annotation) (t truth, err error) {
	t = truth{box: a.BBox, area: a.Area, crowd: a.Crowd, ignore: a.Crowd}
	if e.Style == LVIS {
		t.crowd, t.ignore = false, a.Ignore
	}
	hasArea := a.HasArea && validArea(a.Area)
	if e.IoU == BBox && a.HasBBox {
		if text := boxProblem(a.BBox); text != "" {
			return t, fmt.Errorf("%s", text)
		}
		if hasArea {
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
	if !hasArea {
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

// validArea reports whether a number can be the area of an object.
func validArea(v float64) bool { return v >= 0 && v <= math.MaxFloat64 }

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
