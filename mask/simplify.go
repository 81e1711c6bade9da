package mask

import (
	"image"
	"math"
	"sort"
)

// simplify returns the indices of the corners of a closed ring that Douglas and
// Peucker's algorithm keeps, ascending: all of them unless tolerance is positive.
// A ring is cut into two chains at its first corner and the one farthest from it.
// Fewer than three indices mean that nothing but a line would be left.
func simplify(ring []point, tolerance float64) []int {
	all := make([]int, len(ring))
	for i := range all {
		all[i] = i
	}
	if !(tolerance > 0) || len(ring) < 4 {
		return all
	}
	far, best := 0, -1
	for i, p := range ring {
		dx, dy := p.x-ring[0].x, p.y-ring[0].y
		if d := dx*dx + dy*dy; d > best {
			far, best = i, d
		}
	}
	keep := make([]bool, len(ring)+1) // the end is the first corner again
	keep[0], keep[far] = true, true
	type chain struct{ from, to int }
	for todo := []chain{{0, far}, {far, len(ring)}}; len(todo) > 0; {
		c := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		middle, most := 0, tolerance
		for i := c.from + 1; i < c.to; i++ {
			px, py := offset(ring[i], ring[c.from], ring[c.to%len(ring)])
			if px*px+py*py < most*most*(1-1e-9) { // surely nearer: no need of Hypot, which is slow
				continue
			}
			if d := math.Hypot(px, py); d > most {
				middle, most = i, d
			}
		}
		if most > tolerance {
			keep[middle] = true
			todo = append(todo, chain{c.from, middle}, chain{middle, c.to})
		}
	}
	kept := all[:0]
	for i := range ring {
		if keep[i] {
			kept = append(kept, i)
		}
	}
	return kept
}

// offset is p seen from the nearest point of the stretch a–b.
func offset(p, a, b point) (px, py float64) {
	dx, dy := float64(b.x-a.x), float64(b.y-a.y)
	px, py = float64(p.x-a.x), float64(p.y-a.y)
	if length := dx*dx + dy*dy; length > 0 {
		t := min(max((px*dx+py*dy)/length, 0), 1)
		px, py = px-t*dx, py-t*dy
	}
	return px, py
}

// lastUpTo is the position in ascending kept of the last index not beyond i. The
// first corner of a ring is always kept.
func lastUpTo(kept []int, i int) int { return sort.SearchInts(kept, i+1) - 1 }

// coordinates lists the chosen corners, moved by origin, as x0 y0 x1 y1 ….
func coordinates(ring []point, chosen []int, origin image.Point) []float64 {
	out := make([]float64, 0, 2*len(chosen))
	for _, i := range chosen {
		out = append(out, float64(origin.X+ring[i].x), float64(origin.Y+ring[i].y))
	}
	return out
}
