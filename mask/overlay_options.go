package mask

import (
	"math"
	"slices"
)

// maxFilled is the most instances that are filled and labelled unasked.
const maxFilled = 20

// onlyBoxes as OverlayOptions.Boxes draws the boxes of items without a mask.
const onlyBoxes = math.MinInt

// resolve puts numbers in the place of zeros, and reports whether contours only are drawn unless
// something else is asked for.
func (o *OverlayOptions) resolve(items []instance, width, height float64) (contours bool) {
	contours = contoursOnly(items)
	opacity, all, boxes, line := .4, max(len(items), 1), max(len(items), 1), max(1, int(math.Round(min(width, height)/400)))
	if contours {
		opacity, all, boxes, line = -1, -1, onlyBoxes, min(line, max(1, typicalSide(items)/16))
	}
	if o.FillOpacity == 0 {
		o.FillOpacity = opacity
	}
	if o.LineWidth == 0 {
		o.LineWidth = line
	}
	if o.Labels == 0 {
		o.Labels = all
	}
	switch {
	case o.Boxes == 0:
		o.Boxes = boxes
	case o.Boxes < 0:
		o.Boxes = -1
	}
	return contours
}

// contoursOnly reports whether fills, boxes and labels would hide the picture or say nothing:
// there are many instances, or several of one class.
func contoursOnly(items []instance) bool {
	masks := 0
	for i := range items {
		if items[i].Mask != nil {
			masks++
		}
	}
	return masks > maxFilled || masks > 1 && items[0].Class != "" &&
		!slices.ContainsFunc(items, func(item instance) bool { return item.Class != items[0].Class })
}

// typicalSide is the root of the median area of the masks.
func typicalSide(items []instance) int {
	var areas []int
	for i := range items {
		if items[i].area > 0 {
			areas = append(areas, items[i].area)
		}
	}
	if len(areas) == 0 {
		return 0
	}
	slices.Sort(areas)
	return int(math.Sqrt(float64(areas[len(areas)/2])))
}
