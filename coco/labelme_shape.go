package coco

import (
	"fmt"
	"math"
	"slices"
)

// collinear reports whether all points x0 y0 x1 y1 … are on one line, or are the same.
func collinear(points []float64) bool {
	x0, y0 := points[0], points[1]
	var dx, dy float64 // to the farthest point
	for i := 2; i+1 < len(points); i += 2 {
		if x, y := points[i]-x0, points[i+1]-y0; math.Hypot(x, y) > math.Hypot(dx, dy) {
			dx, dy = x, y
		}
	}
	const rounding = 1e-9 // of the distance from the line, relative to the line's length
	for i := 2; i+1 < len(points); i += 2 {
		if math.Abs(dx*(points[i+1]-y0)-dy*(points[i]-x0)) > rounding*(dx*dx+dy*dy) {
			return false
		}
	}
	return true
}

// clippedShapes are the shapes of a file that reach beyond its picture.
type clippedShapes struct {
	n             int
	first         *shapeText
	most          float64 // pixels by which any of them does
	width, height int
}

// add notes a shape that reaches beyond the picture by more than half a pixel.
func (c *clippedShapes) add(s *shapeText, width, height int) {
	c.width, c.height = width, height
	most := 0.0
	beyond := func(x, y float64) {
		most = max(most, -x, -y, x-float64(width), y-float64(height))
	}
	switch {
	case s.kind == "circle" && len(s.points) == 4:
		x, y := s.points[0], s.points[1]
		r := math.Hypot(s.points[2]-x, s.points[3]-y)
		beyond(x-r, y-r)
		beyond(x+r, y+r)
	case s.kind == "mask" && len(s.points) == 4:
		beyond(s.points[0], s.points[1])
		beyond(s.points[2]+1, s.points[3]+1) // the last pixel
	default:
		for p := range slices.Chunk(s.points, 2) {
			if len(p) == 2 {
				beyond(p[0], p[1])
			}
		}
	}
	if most <= 0.5 {
		return
	}
	if c.n++; c.n == 1 {
		c.first = s
	}
	c.most = max(c.most, most)
}

// problems says what was clipped, if anything.
func (c *clippedShapes) problems() Problems {
	if c.n == 0 {
		return nil
	}
	return Problems{{Record: "data set", Harmless: true, Message: fmt.Sprintf(
		"%d shapes reach beyond the picture of %d×%d pixels, by up to %.4g pixels, and are clipped (the first: shape %d, %s)",
		c.n, c.width, c.height, c.most, c.first.index, c.first.label)}}
}
