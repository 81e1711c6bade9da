package diffusioninst

import "math"

// nearby finds boxes that overlap a box without looking at all of them: each lies in a grid whose
// cells are larger than it, so that it covers four of them at most.
type nearby map[int]*grid // by the binary logarithm of the side of a cell

type grid struct {
	side  float64
	cells map[[2]int][]placed
	all   []placed
}

// placed is a box with its number and its first cell.
type placed struct {
	Box
	number int
	at     [2]int
}

// add adds a box. One that is empty overlaps nothing and is left out.
func (n nearby) add(b Box, number int) {
	if b.Empty() {
		return
	}
	level := max(math.Ilogb(float64(max(b.Width(), b.Height())))+1, 0)
	g := n[level]
	if g == nil {
		g = &grid{side: math.Ldexp(1, level), cells: map[[2]int][]placed{}}
		n[level] = g
	}
	from, to := g.reach(b)
	p := placed{b, number, from}
	g.all = append(g.all, p)
	for y := from[1]; y <= to[1]; y++ {
		for x := from[0]; x <= to[0]; x++ {
			g.cells[[2]int{x, y}] = append(g.cells[[2]int{x, y}], p)
		}
	}
}

// reach returns the first and the last cell, column and row, that a box covers.
func (g *grid) reach(b Box) (from, to [2]int) {
	cell := func(v float32) int { return int(min(max(math.Floor(float64(v)/g.side), -1<<40), 1<<40)) }
	return [2]int{cell(b.X1), cell(b.Y1)}, [2]int{cell(b.X2), cell(b.Y2)}
}

// each calls f with every box that overlaps b, and perhaps with others near it, in no order,
// until it returns false.
func (n nearby) each(b Box, f func(number int, other Box) bool) {
	if b.Empty() {
		return
	}
	for _, g := range n {
		from, to := g.reach(b)
		if cells := float64(to[0]-from[0]+1) * float64(to[1]-from[1]+1); cells > float64(len(g.all)) {
			for _, p := range g.all {
				if !f(p.number, p.Box) {
					return
				}
			}
			continue
		}
		for y := from[1]; y <= to[1]; y++ {
			for x := from[0]; x <= to[0]; x++ {
				for _, p := range g.cells[[2]int{x, y}] {
					// A box that shares several cells with b is met in the first of them.
					if x == max(p.at[0], from[0]) && y == max(p.at[1], from[1]) && !f(p.number, p.Box) {
						return
					}
				}
			}
		}
	}
}
