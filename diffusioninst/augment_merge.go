package diffusioninst

import (
	"cmp"
	"image"
	"slices"

	"github.com/diffusioninst/go/mask"
)

// merge makes one result of those of several views of a picture, with at most limit
// instances, 0 for all.
func merge(views []*Result, iou float64, limit int) *Result {
	out := &Result{Width: views[0].Width, Height: views[0].Height}
	type sighting struct {
		Instance
		view int
	}
	var all []sighting
	for v, r := range views {
		for _, in := range r.Instances {
			all = append(all, sighting{in, v})
		}
	}
	slices.SortStableFunc(all, func(a, b sighting) int { return cmp.Compare(b.Score, a.Score) })
	var c candidates
	for _, s := range all {
		c.boxes = append(c.boxes, s.Box.X1, s.Box.Y1, s.Box.X2, s.Box.Y2)
		c.scores = append(c.scores, s.Score)
	}
	// Best first, each instance goes to the group whose first it overlaps most.
	var groups [][]int64
	for i, s := range all {
		most, best := iou, -1
		for g, group := range groups {
			first := all[group[0]]
			if first.Class != s.Class || first.view == s.view {
				continue
			}
			if o := float64(first.Box.IoU(s.Box)); o > most || o == most && best < 0 {
				most, best = o, g
			}
		}
		if best < 0 {
			groups = append(groups, []int64{int64(i)})
		} else {
			groups[best] = append(groups[best], int64(i))
		}
	}
	if limit > 0 {
		groups = groups[:min(len(groups), limit)]
	}
	for _, group := range groups {
		in := all[group[0]].Instance
		if len(group) > 1 {
			in.Box = meanBox(c, group)
			masks, weights := make([]*mask.Bitmap, len(group)), make([]float32, len(group))
			for i, k := range group {
				masks[i], weights[i] = all[k].Mask, all[k].Score
			}
			in.Mask = mergeMasks(masks, weights, in.Box)
		}
		out.Instances = append(out.Instances, in)
	}
	return out
}

// mergeMasks lets masks vote on the pixels inside a box.
func mergeMasks(masks []*mask.Bitmap, weights []float32, box Box) *mask.Bitmap {
	whole := masks[0].Bounds()
	region := box.Pixels(whole.Dx(), whole.Dy())
	parts := make([]*mask.Bitmap, len(masks))
	for i, m := range masks {
		parts[i] = m.Crop(region)
	}
	return majority(parts, weights, image.Rect(0, 0, region.Dx(), region.Dy())).Crop(whole.Sub(region.Min))
}
