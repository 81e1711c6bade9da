package mask

import (
	"image"
	"math/bits"
)

// A Part is one connected part of a mask; pixels that touch at a corner are
// connected. Its rings are x0 y0 x1 y1 … along the edges of the pixels, not
// closed by a repeated point. The outer ring runs clockwise as seen on a
// screen, the holes anticlockwise, so that the part lies to the right of every
// ring. A part inside another's hole is a part of its own.
type Part struct {
	Outer []float64
	Holes [][]float64

	bridges []bridge // for every hole where Polygon ties it
}

// bridge ties a hole to a point of a ring that comes before it: -1 is the outer
// ring, otherwise a hole.
type bridge struct{ ring, point int }

// Parts returns the connected parts of b from top to bottom, their rings
// simplified after Douglas and Peucker (1973): no point of a ring's contour is
// farther than tolerance pixels from the simplified ring. With tolerance 0 only
// points on straight lines go, and the rings describe b exactly. A hole that
// simplifies to nothing is dropped; an outer ring that would is kept as it is.
func (b *Bitmap) Parts(tolerance float64) []Part {
	box := b.Box()
	rings := b.Crop(box).trace()
	var parts []Part
	kept := make([][]int, len(rings))   // the corners that simplification keeps
	part := make([]int, len(rings))     // the part a ring belongs to
	position := make([]int, len(rings)) // its index in the part, -1 for the outer ring
	for i, r := range rings {
		kept[i] = simplify(r.corners, tolerance)
		if !r.hole {
			if len(kept[i]) < 3 {
				kept[i] = simplify(r.corners, 0)
			}
			part[i], position[i] = len(parts), -1
			parts = append(parts, Part{Outer: coordinates(r.corners, kept[i], box.Min)})
			continue
		}
		p := &parts[part[r.below]]
		part[i] = part[r.below]
		if len(kept[i]) < 3 {
			continue
		}
		above := i
		var at bridge
		for { // past holes that were dropped
			corner := rings[above].belowCorner
			above = rings[above].below
			if k := kept[above]; len(k) >= 3 {
				at = bridge{position[above], lastUpTo(k, corner)}
				break
			}
		}
		position[i] = len(p.Holes)
		p.Holes = append(p.Holes, coordinates(r.corners, kept[i], box.Min))
		p.bridges = append(p.bridges, at)
	}
	return parts
}

// Polygons returns b as COCO writes polygons: one list x0 y0 x1 y1 … for each of
// the [Bitmap.Parts]. COCO polygons cannot have holes, so each hole is tied to its
// part by a bridge of no width (see [Part.Polygon]); the COCO API and
// [FromPolygons] read that correctly, and with tolerance 0 they give back b
// exactly.
func (b *Bitmap) Polygons(tolerance float64) [][]float64 {
	parts := b.Parts(tolerance)
	out := make([][]float64, len(parts))
	for i, p := range parts {
		out[i] = p.Polygon()
	}
	return out
}

// Polygon returns the part as one ring. It walks the outer ring, leaves it at
// a corner near each hole, walks around the hole and returns the same way. By the
// even-odd rule as by the nonzero rule the doubled way encloses nothing and the
// hole stays empty.
func (p Part) Polygon() []float64 {
	if len(p.Holes) == 0 {
		return p.Outer
	}
	tied := make([]map[int][]int, len(p.Holes)+1) // ring+1 → point → holes
	total := len(p.Outer)
	for i, h := range p.Holes {
		if len(h) == 0 {
			continue
		}
		at := p.bridge(i)
		if tied[at.ring+1] == nil {
			tied[at.ring+1] = map[int][]int{}
		}
		tied[at.ring+1][at.point] = append(tied[at.ring+1][at.point], i)
		total += len(h) + 4
	}
	out := make([]float64, 0, total)
	var walk func(ring int, points []float64)
	walk = func(ring int, points []float64) {
		for k := 0; k < len(points)/2; k++ {
			x, y := points[2*k], points[2*k+1]
			out = append(out, x, y)
			for _, hole := range tied[ring+1][k] {
				walk(hole, p.Holes[hole])
				out = append(out, p.Holes[hole][0], p.Holes[hole][1], x, y)
			}
		}
	}
	walk(-1, p.Outer)
	return out
}

// bridge is where hole i is tied, at the outer ring's first point if there is no
// such place: people may have put the part together or taken holes out.
func (p Part) bridge(i int) bridge {
	if i < len(p.bridges) {
		at := p.bridges[i]
		ring := p.Outer
		if at.ring >= 0 && at.ring < i {
			ring = p.Holes[at.ring]
		}
		if at.ring < i && 2*at.point < len(ring) {
			return at
		}
	}
	return bridge{-1, 0}
}

// ring is a closed contour in the order of its tracing.
type ring struct {
	corners []point
	hole    bool
	// For a hole: the ring met on the way up from it, which is the nearest
	// contour of the same part, and the corner where the met edge starts.
	below, belowCorner int
}

// edge is a horizontal stretch [x0, x1) of a ring above set pixels.
type edge struct{ x0, x1, ring, corner int }

// trace returns all contours of b. It finds edges between unequal pixels in
// raster order and follows each unseen one with the set pixels on its right: an
// outer ring is first met at its top and leaves eastwards, a hole is first met
// below the pixels above it and leaves southwards.
func (b *Bitmap) trace() []ring {
	words := (b.Width + 63) >> 6
	if words == 0 || b.Height == 0 {
		return nil
	}
	// Bit x of row y of unseen: an edge from (x, y) to (x+1, y) still to follow.
	unseen := make([]uint64, words*(b.Height+1))
	copy(unseen, b.row(0))
	for y := 1; y < b.Height; y++ {
		above := b.row(y - 1)
		for i, w := range b.row(y) {
			unseen[y*words+i] = w ^ above[i]
		}
	}
	copy(unseen[b.Height*words:], b.row(b.Height-1))

	var rings []ring
	tops := make([][]edge, b.Height)
	for i := range unseen {
		for unseen[i] != 0 {
			x, y := i%words<<6+bits.TrailingZeros64(unseen[i]), i/words
			r := ring{hole: !b.Get(x, y)}
			if r.hole {
				top := y - 1
				for b.Get(x, top-1) {
					top--
				}
				for _, e := range tops[top] {
					if e.x0 <= x && x < e.x1 {
						r.below, r.belowCorner = e.ring, e.corner
						break
					}
				}
			}
			r.corners = b.follow(x, y, r.hole, unseen, tops, len(rings))
			rings = append(rings, r)
		}
	}
	return rings
}

// follow walks one ring from (x, y), the left end of its first edge, which is a
// corner of it. It clears the ring's edges in unseen, files those above set
// pixels under the ring's number in tops, and returns the corners.
func (b *Bitmap) follow(x, y int, hole bool, unseen []uint64, tops [][]edge, number int) []point {
	words := (b.Width + 63) >> 6
	start, first := point{x, y}, east
	if hole {
		first = south
	}
	corners := []point{start}
	for dir := first; ; {
		var left, right bool
		x, y, left, right = b.step(x, y, dir, image.Point{}, unseen, words)
		if !left && right {
			continue
		}
		if dir == east {
			last := len(corners) - 1
			tops[y] = append(tops[y], edge{x0: corners[last].x, x1: x, ring: number, corner: last})
		}
		if left { // also where only corners touch: they belong together
			dir = (dir + 3) & 3
		} else {
			dir = (dir + 1) & 3
		}
		if dir == first && (point{x, y}) == start {
			return corners
		}
		corners = append(corners, point{x, y})
	}
}
