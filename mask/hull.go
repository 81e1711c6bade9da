package mask

import (
	"image"
	"math"
)

// A hull is the convex hull of a mask as pixels: the first and the last column of each row
// from top. As scikit-image has it, a pixel counts as the middles of its four sides, and the
// hull has the pixels whose centres lie in the polygon or on it.
type hull struct {
	top  int
	rows [][2]int
}

// hullOf returns the hull of a mask with the given box. Coordinates are doubled so that the
// middles of sides are whole numbers and every decision is exact.
func hullOf(b *Bitmap, box image.Rectangle) hull {
	h := hull{top: box.Min.Y}
	for y := box.Min.Y; y < box.Max.Y; y++ {
		first, last := math.MaxInt, math.MinInt
		for x0, x1 := range b.Row(y) {
			first, last = min(first, x0), max(last, x1-1)
		}
		h.rows = append(h.rows, [2]int{first, last})
	}
	left, right := h.chains()
	for i := range h.rows {
		y := 2 * (h.top + i)
		h.rows[i] = [2]int{ceilDiv(crossing(left, y)), floorDiv(crossing(right, y))}
	}
	return h
}

// chains returns the corners of the polygon around the rows, from top to bottom along its
// left and its right side.
func (h hull) chains() (left, right []point) {
	for i, r := range h.rows {
		if r[0] > r[1] {
			continue
		}
		y := 2 * (h.top + i)
		for side, x := range r {
			chain, sign := &left, 1
			if side == 1 {
				chain, sign = &right, -1
			}
			for _, p := range []point{{2 * x, y - 1}, {2*x - sign, y}, {2 * x, y + 1}} {
				*chain = appendConvex(*chain, p, sign)
			}
		}
	}
	return left, right
}

// appendConvex adds a point at or below the others to a chain that bulges to the left for
// sign 1 and to the right for sign -1.
func appendConvex(chain []point, p point, sign int) []point {
	for len(chain) > 0 {
		last := chain[len(chain)-1]
		if last.y == p.y { // only the outer one counts
			if sign*(last.x-p.x) <= 0 {
				return chain
			}
			chain = chain[:len(chain)-1]
			continue
		}
		if len(chain) < 2 {
			break
		}
		a := chain[len(chain)-2]
		if sign*((last.x-a.x)*(p.y-a.y)-(p.x-a.x)*(last.y-a.y)) < 0 {
			break
		}
		chain = chain[:len(chain)-1]
	}
	return append(chain, p)
}

// crossing returns where a chain passes the ordinate y, as a fraction of whole pixels.
func crossing(chain []point, y int) (num, den int) {
	for i := 1; ; i++ {
		a, b := chain[i-1], chain[i]
		if y <= b.y {
			dy := b.y - a.y
			return a.x*dy + (b.x-a.x)*(y-a.y), 2 * dy
		}
	}
}

func floorDiv(num, den int) int {
	q := num / den
	if num%den < 0 {
		q--
	}
	return q
}

func ceilDiv(num, den int) int { return -floorDiv(-num, den) }

func (h hull) area() float64 {
	n := 0
	for _, r := range h.rows {
		n += r[1] - r[0] + 1
	}
	return float64(n)
}

// feret returns the largest distance between two points of the hull's outline.
func (h hull) feret() float64 {
	left, right := h.chains()
	corners := append(left, right...)
	most := 0
	for i, a := range corners {
		for _, b := range corners[i+1:] {
			most = max(most, (a.x-b.x)*(a.x-b.x)+(a.y-b.y)*(a.y-b.y))
		}
	}
	return math.Sqrt(float64(most)) / 2
}
