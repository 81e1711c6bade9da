package coco

import (
	"context"
	"errors"
	"fmt"
	"path"
	"runtime"
	"strings"

	"github.com/diffusioninst/go/internal/relay"
)

// Evaluate compares detections with the annotations of d and returns the average
// precisions and recalls of the COCO API or the LVIS API (Options.Style). The
// numbers do not depend on the number of workers. An annotation without an area, or with one
// that is negative or not finite, has the area of its mask or, by boxes, of its box.
//
// Unlike these it refuses input that would make the numbers wrong, and names the record:
// ids that occur twice, unknown images and categories, detections without what
// Options.IoU needs, masks that are invalid or of another size than their image.
// Such errors are Problems.
func Evaluate(ctx context.Context, d *Dataset, results []Result, o Options) (*Report, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	e, err := newEvaluation(d, results, o)
	if err != nil {
		return nil, err
	}
	outcomes, err := forEach(ctx, o.Workers, len(e.images), e.image)
	if err != nil {
		return nil, err
	}
	return e.accumulate(ctx, outcomes)
}

// forEach runs work for 0 … n-1 and returns the results in this order. The error is
// the one of the first index that fails.
func forEach[T any](ctx context.Context, workers, n int, work func(i int) (T, error)) ([]T, error) {
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	out, errs := make([]T, n), make([]error, n)
	relay.Each(workers, n, func(i int) {
		if ctx.Err() == nil {
			out[i], errs[i] = work(i)
		}
	})
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// An evaluation holds what the work on each image and each category reads.
type evaluation struct {
	Options
	data       *Dataset
	results    []Result
	images     []int // places in data.Images, by ascending id
	categories []int // places in data.Categories, by ascending id
	category   map[int64]int32
	truths     groups // annotations by place in data.Images
	found      groups // results by place in data.Images
	boxAreas   bool   // areas of detections are their boxes' areas
}

func newEvaluation(d *Dataset, results []Result, o Options) (*evaluation, error) {
	if d == nil {
		return nil, errors.New("coco: there is no data set")
	}
	ix, problems := d.index()
	image := make([]int32, len(results))
	for i := range results {
		r := &results[i]
		place, ok := ix.images[r.ImageID]
		if !ok {
			place = -1
			problems.at("result", i, r, "the image is not in the data set%s", d.similar(r, len(problems)))
		}
		if _, ok := ix.categories[r.CategoryID]; !ok {
			problems.at("result", i, r, "category %s is not in the data set", idText(r.CategoryID, r.Extra, "category_id"))
		}
		r.check(&problems, i, o.IoU)
		image[i] = int32(place)
	}
	e := &evaluation{Options: o, data: d, results: results, category: map[int64]int32{}}
	e.boxAreas = !o.MaskAreas && len(results) > 0 && results[0].HasBBox
	e.truths, e.found = ix.ofImage, group(image, len(d.Images))
	e.images = selected(&problems, "image", o.Images, ix.images, len(d.Images), func(i int) int64 { return d.Images[i].ID })
	e.categories = selected(&problems, "category", o.Categories, ix.categories, len(d.Categories), func(i int) int64 { return d.Categories[i].ID })
	for k, i := range e.categories {
		e.category[d.Categories[i].ID] = int32(k)
	}
	if o.Style == LVIS {
		e.checkLVIS(&problems)
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return e, nil
}

// similar says which image a result of an unknown one may be meant for, if there are few
// problems: more are not read.
func (d *Dataset) similar(r *Result, problems int) string {
	key := stringID(r.Extra, "image_id")
	if key == "" || problems > 5 {
		return ""
	}
	for i := range d.Images {
		m := &d.Images[i]
		if name := path.Base(strings.ReplaceAll(m.FileName, `\`, "/")); name == key || strings.TrimSuffix(name, path.Ext(name)) == key {
			return fmt.Sprintf(" (the image of the file %s has the id %s: write that as image_id)", m.FileName, idText(m.ID, m.Extra, "id"))
		}
	}
	return ""
}

// selected returns the places of the wanted ids, or of all, by ascending id.
func selected(problems *Problems, record string, wanted []int64, places map[int64]int, n int, id func(i int) int64) []int {
	if wanted == nil {
		return byID(n, id)
	}
	seen := map[int]bool{}
	var out []int
	for i, w := range wanted {
		place, ok := places[w]
		if !ok {
			problems.add(record, i, w, "selected but not in the data set")
		} else if !seen[place] {
			seen[place] = true
			out = append(out, place)
		}
	}
	order := byID(len(out), func(i int) int64 { return id(out[i]) })
	for i, j := range order {
		order[i] = out[j]
	}
	return order
}

// check reports what r lacks for an evaluation.
func (r *Result) check(problems *Problems, i int, iou IoU) {
	if !isFinite(r.Score) {
		problems.at("result", i, r, "score %v", r.Score)
	}
	if iou == BBox && !r.HasBBox && r.Segmentation.Empty() {
		problems.at("result", i, r, "neither a box nor a mask")
	}
	if iou != BBox && r.Segmentation.Empty() {
		problems.at("result", i, r, "no mask")
	}
	if r.HasBBox {
		if text := boxProblem(r.BBox); text != "" {
			problems.at("result", i, r, "%s", text)
		}
	}
}

// checkLVIS reports what the federated rules need and the data set lacks.
func (e *evaluation) checkLVIS(problems *Problems) {
	for _, i := range e.images {
		if m := &e.data.Images[i]; m.NegCategoryIDs == nil || m.NotExhaustiveCategoryIDs == nil {
			problems.at("image", i, m, "no neg_category_ids or not_exhaustive_category_ids, so this is not an LVIS file")
		}
	}
	for _, i := range e.categories {
		if c := &e.data.Categories[i]; frequencyGroup(c.Frequency) < 0 {
			problems.at("category", i, c, "frequency %q is not r, c or f", c.Frequency)
		}
	}
}
