package mask

import (
	"fmt"
	"math"
	"slices"
)

// upsampling is the factor of the finer grid on which the COCO API draws a
// polygon's outline.
const upsampling = 5

// maxCoordinate bounds polygon coordinates: beyond it the finer grid's numbers
// would leave 32 bits, and the COCO API has no defined answer.
const maxCoordinate = 1 << 27

// FromPolygons returns the union of polygons, each x0 y0 x1 y1 …, on a picture of
// width × height pixels. See [FromPolygon]. No polygons give an empty mask.
func FromPolygons(polygons [][]float64, width, height int) (RLE, error) {
	total, err := pixels(width, height)
	if err != nil {
		return RLE{}, err
	}
	if len(polygons) == 0 {
		return RLE{Width: width, Height: height, Counts: []uint32{total}}, nil
	}
	parts := make([]RLE, len(polygons))
	for i, p := range polygons {
		if parts[i], err = fromPolygon(p, width, height); err != nil {
			return RLE{}, fmt.Errorf("mask: polygon %d: %w", i, err)
		}
	}
	return Merge(parts, false)
}

// FromPolygon returns the pixels of one polygon x0 y0 x1 y1 … on a picture of
// width × height pixels, by the even-odd rule and pixel for pixel as the COCO
// API draws it. What leaves the picture is cut off. An odd number of
// coordinates, fewer than three points, and coordinates that are not finite or
// beyond ±2²⁷ are errors.
//
// That API rounds the corners to a grid five times finer, draws the outline
// there as one point for every step along an edge's longer side, and toggles
// column x from row y on where the outline passes the column's middle. Here only
// these crossings are computed, not the points between.
func FromPolygon(polygon []float64, width, height int) (RLE, error) {
	r, err := fromPolygon(polygon, width, height)
	if err != nil {
		return RLE{}, fmt.Errorf("mask: polygon: %w", err)
	}
	return r, nil
}

func fromPolygon(polygon []float64, width, height int) (RLE, error) {
	total, err := size(width, height)
	if err != nil {
		return RLE{}, err
	}
	points, err := upsample(polygon)
	if err != nil {
		return RLE{}, err
	}
	var toggles []uint32
	last, limit := points[len(points)-1], 1<<16
	for _, p := range points {
		toggles = appendToggles(toggles, last, p, width, height)
		last = p
		if len(toggles) > limit { // so that they never outgrow the picture much
			toggles = cancel(toggles)
			limit = max(limit, 2*len(toggles))
		}
	}
	return RLE{Width: width, Height: height, Counts: toggled(cancel(toggles), total)}, nil
}

// cancel sorts toggles and drops pairs of the same pixel, which undo each other.
func cancel(toggles []uint32) []uint32 {
	slices.Sort(toggles)
	out := toggles[:0]
	for _, t := range toggles {
		if n := len(out); n > 0 && out[n-1] == t {
			out = out[:n-1]
		} else {
			out = append(out, t)
		}
	}
	return out
}

// point is a corner on the finer grid.
type point struct{ x, y int }

// upsample rounds corners to the finer grid, towards zero after adding ½.
func upsample(polygon []float64) ([]point, error) {
	if len(polygon)%2 != 0 {
		return nil, fmt.Errorf("%d coordinates, an odd number", len(polygon))
	}
	if len(polygon) < 6 {
		return nil, fmt.Errorf("%d points, fewer than 3", len(polygon)/2)
	}
	for i, v := range polygon {
		if math.IsNaN(v) || math.Abs(v) > maxCoordinate {
			return nil, fmt.Errorf("coordinate %d is %v", i, v)
		}
	}
	points := make([]point, len(polygon)/2)
	for i := range points {
		points[i] = point{int(float64(upsampling*polygon[2*i]) + .5), int(float64(upsampling*polygon[2*i+1]) + .5)}
	}
	return points, nil
}

// appendToggles appends the pixels, as numbers down the columns, from which on
// the edge a–b toggles its columns. Column q is crossed between the grid's
// abscissae 5q+2 and 5q+3, at the smaller of the two ordinates there.
func appendToggles(toggles []uint32, a, b point, width, height int) []uint32 {
	if abs(b.x-a.x) >= abs(b.y-a.y) && a.x > b.x || abs(b.x-a.x) < abs(b.y-a.y) && a.y > b.y {
		a, b = b, a
	}
	dx, dy := abs(b.x-a.x), b.y-a.y
	left, right := min(a.x, b.x), max(a.x, b.x)
	first := 0 // the first column with 5q+2 ≥ left
	if left > 2 {
		first = (left + upsampling - 3) / upsampling
	}
	if dx >= abs(dy) {
		slope := float64(dy) / float64(dx)
		ordinate := func(t int) int { return int(float64(a.y) + float64(slope*float64(t)) + .5) }
		for q := first; q < width && upsampling*q+3 <= right; q++ {
			t := upsampling*q + 2 - a.x
			toggles = append(toggles, toggle(q, min(ordinate(t), ordinate(t+1)), height))
		}
		return toggles
	}
	if dx == 0 {
		return toggles
	}
	slope := float64(b.x-a.x) / float64(dy)
	abscissa := func(t int) int { return int(float64(a.x) + float64(slope*float64(t)) + .5) }
	for q := first; q < width && upsampling*q+3 <= right; q++ {
		// passed reports whether step t is beyond the column's middle; the crossing
		// is at the first step that is, which the quotient misses by one at most.
		middle := upsampling*q + 3
		passed := func(t int) bool { return (abscissa(t) >= middle) == (slope > 0) }
		t := int((float64(middle) - .5 - float64(a.x)) / slope)
		t = min(max(t, 1), dy)
		for t > 1 && passed(t-1) {
			t--
		}
		for t < dy && !passed(t) {
			t++
		}
		toggles = append(toggles, toggle(q, a.y+t-1, height))
	}
	return toggles
}

// toggle is the number of the first pixel of column q below ordinate v of the
// finer grid, clamped to the column.
func toggle(q, v, height int) uint32 {
	y := math.Ceil((float64(v)+.5)/upsampling - .5)
	return uint32(q*height + int(min(max(y, 0), float64(height))))
}

func abs(v int) int { return max(v, -v) }
