package coco

// CleanResults returns the results that can be compared with d, and what is wrong with the
// others: unknown images and categories, scores and boxes that are not valid, and masks
// that are not, as the options say. Size is not used. d must be clean.
func (d *Dataset) CleanResults(results []Result, o CleanOptions) ([]Result, Problems) {
	if err := o.check(); err != nil {
		return nil, err
	}
	ix, _ := d.index()
	iou := BBox
	if o.Masks {
		iou = Segm
	}
	var problems Problems
	var kept []Result
	for i := range results {
		r := results[i]
		before := len(problems)
		place, known := ix.images[r.ImageID]
		if !known {
			problems.at("result", i, &r, "the image is not in the data set%s", d.similar(&r, len(problems)))
		}
		if _, ok := ix.categories[r.CategoryID]; !ok {
			problems.at("result", i, &r, "category %s is not in the data set", idText(r.CategoryID, r.Extra, "category_id"))
		}
		r.check(&problems, i, iou)
		if known && !r.Segmentation.Empty() {
			_, err := r.Segmentation.RLE(d.Images[place].Width, d.Images[place].Height)
			switch {
			case err == nil:
			case o.Boxes && r.HasBBox: // which is all that is compared
				r.Segmentation = Segmentation{}
			default:
				problems.at("result", i, &r, "%v", err)
			}
		}
		if len(problems) == before {
			kept = append(kept, r)
			kept[len(kept)-1].numbered(r.number(i), len(kept)-1)
		}
	}
	return kept, problems
}
