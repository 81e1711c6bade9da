package evaluation

import (
	"slices"
	"sync"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/diffusioninst"
)

var knownCategories = sync.OnceValue(func() [][]coco.Category {
	return [][]coco.Category{coco.COCOClasses(), coco.LVISClasses()}
})

// Categories returns a category for each of a model's classes: COCO's or LVIS's own if the
// names are exactly theirs, in order; otherwise with the ids 1, 2, ….
func Categories(classes []string) []coco.Category {
	for _, known := range knownCategories() {
		same := len(known) == len(classes)
		for i := 0; same && i < len(known); i++ {
			same = known[i].Name == classes[i]
		}
		if same {
			return slices.Clone(known)
		}
	}
	out := make([]coco.Category, len(classes))
	for i, name := range classes {
		out[i] = coco.Category{ID: int64(i + 1), Name: name}
	}
	return out
}

// LabeledImage returns a result in the form that package coco evaluates and writes.
// categories has one entry per class, as Categories gives them.
func LabeledImage(r *diffusioninst.Result, id int64, file string, categories []coco.Category) *coco.LabeledImage {
	p := &coco.LabeledImage{ImageID: id, FileName: file, Width: r.Width, Height: r.Height}
	for _, in := range r.Instances {
		c := categories[in.Class]
		p.Instances = append(p.Instances, coco.LabeledInstance{
			CategoryID: c.ID, CategoryKey: c.Key(), Category: c.Name, Score: float64(in.Score), HasScore: true, Mask: in.Mask.RLE(), HasBox: true,
			Box: in.Box.XYWH(),
		})
	}
	return p
}
