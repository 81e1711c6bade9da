package mask

import (
	"image"
	"math"
)

// A rectGrid finds rectangles near another one without looking at all of them.
type rectGrid struct {
	side  int // of a cell
	cells map[image.Point][]numbered
}

type numbered struct {
	image.Rectangle
	number int
}

// newRectGrid returns an empty grid of a picture.
func newRectGrid(width, height int) *rectGrid {
	return &rectGrid{side: max(16, int(math.Sqrt(float64(width)*float64(height)))/64), cells: map[image.Point][]numbered{}}
}

// each calls f with every cell that a rectangle covers until it returns false.
func (g *rectGrid) each(r image.Rectangle, f func(cell image.Point) bool) {
	for y := r.Min.Y / g.side; y*g.side < r.Max.Y; y++ {
		for x := r.Min.X / g.side; x*g.side < r.Max.X; x++ {
			if !f(image.Pt(x, y)) {
				return
			}
		}
	}
}

// add adds a rectangle within the picture with a number.
func (g *rectGrid) add(r image.Rectangle, number int) {
	g.each(r, func(cell image.Point) bool {
		g.cells[cell] = append(g.cells[cell], numbered{r, number})
		return true
	})
}

// any reports whether f is true for one of the rectangles that overlap r. It may see others near
// it, and one several times.
func (g *rectGrid) any(r image.Rectangle, f func(r image.Rectangle, number int) bool) (found bool) {
	g.each(r, func(cell image.Point) bool {
		for _, other := range g.cells[cell] {
			if f(other.Rectangle, other.number) {
				found = true
				break
			}
		}
		return !found
	})
	return found
}
