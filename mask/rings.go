package mask

import (
	"fmt"
	"math"
)

// FromRings returns the pixels of a width × height picture whose centres lie inside an odd
// number of rings, each x0 y0 x1 y1 …, closed or not, as ImageJ and QuPath draw polygons with
// holes. It undoes [Bitmap.Regions]. What leaves the
// picture is cut off. An odd number of coordinates, and coordinates that are not finite or
// beyond ±2²⁷ are errors; rings of fewer than three points have no pixels.
//
// [FromPolygons] draws polygons as the COCO API does, which differs along slanted edges.
func FromRings(rings [][]float64, width, height int) (RLE, error) {
	total, err := size(width, height)
	if err != nil {
		return RLE{}, fmt.Errorf("mask: rings: %w", err)
	}
	var toggles []uint32
	limit := 1 << 16
	for n, ring := range rings {
		if len(ring)%2 != 0 {
			return RLE{}, fmt.Errorf("mask: ring %d: %d coordinates, an odd number", n, len(ring))
		}
		for i, v := range ring {
			if !(math.Abs(v) <= maxCoordinate) {
				return RLE{}, fmt.Errorf("mask: ring %d: coordinate %d is %v", n, i, v)
			}
		}
		for i := 0; i < len(ring); i += 2 {
			last := (i + len(ring) - 2) % len(ring)
			toggles = appendCrossings(toggles, ring[last], ring[last+1], ring[i], ring[i+1], width, height)
			if len(toggles) > limit { // so that they never outgrow the picture much
				toggles = cancel(toggles)
				limit = max(limit, 2*len(toggles))
			}
		}
	}
	return RLE{Width: width, Height: height, Counts: toggled(cancel(toggles), total)}, nil
}

// appendCrossings appends the first pixel below the edge in each column whose middle the edge
// passes. Of centres on an edge those count that the polygon has on their left, as in ImageJ.
func appendCrossings(toggles []uint32, ax, ay, bx, by float64, width, height int) []uint32 {
	if ax > bx {
		ax, ay, bx, by = bx, by, ax, ay
	}
	first, last := max(int(math.Floor(ax-.5))+1, 0), min(int(math.Floor(bx-.5))+1, width)
	if first >= last {
		return toggles
	}
	slope := (by - ay) / (bx - ax)
	for q := first; q < last; q++ {
		y := ay + float64(slope*(float64(q)+.5-ax)) - .5
		if slope < 0 {
			y = math.Floor(y) + 1
		} else {
			y = math.Ceil(y)
		}
		toggles = append(toggles, uint32(q*height+int(min(max(y, 0), float64(height)))))
	}
	return toggles
}

// toggled returns the run lengths of pixels that change their value at the sorted toggles.
func toggled(toggles []uint32, total uint32) []uint32 {
	out := runs{counts: make([]uint32, 0, len(toggles)+1)}
	var pos uint32
	inside := false
	for _, t := range toggles {
		out.add(t-pos, inside)
		pos, inside = t, !inside
	}
	out.add(total-pos, inside)
	return out.finish()
}
