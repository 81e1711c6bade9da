package mask

import (
	"image"
	"math/bits"
)

// Regions returns the parts of b whose pixels are connected over their sides, each with the
// rings of its outline along the edges of the pixels, as in [Part]. Unlike the rings of
// [Bitmap.Parts] no ring touches itself, and the inside of every region is connected:
// the regions are valid polygons of the OGC's simple features, and GeoJSON. Rings may touch
// each other at single corners. [FromRings] gives back b.
func (b *Bitmap) Regions() []Part {
	box := b.Box()
	if box.Empty() {
		return nil
	}
	t := &regionTracer{b: b, box: box, words: (box.Dx() + 63) >> 6}
	t.connect()
	t.edges()
	var parts []Part
	place := map[int]int{} // in parts, by component
	for i := range t.unseen {
		for t.unseen[i] != 0 {
			x, y := i%t.words<<6+bits.TrailingZeros64(t.unseen[i]), i/t.words
			top := t.get(x, y)
			inside := y
			if !top {
				inside--
			}
			component := t.component(x, inside)
			at, known := place[component]
			if !known {
				at = len(parts)
				place[component] = at
				parts = append(parts, Part{})
			}
			for _, ring := range split(t.follow(x, y, top)) {
				points := make([]float64, 0, 2*len(ring))
				for _, p := range ring {
					points = append(points, float64(p.x+box.Min.X), float64(p.y+box.Min.Y))
				}
				if clockwise(ring) {
					parts[at].Outer = points
				} else {
					parts[at].Holes = append(parts[at].Holes, points)
				}
			}
		}
	}
	return parts
}

// A regionTracer follows the outlines of a mask. Its coordinates start at the mask's box.
type regionTracer struct {
	b     *Bitmap
	box   image.Rectangle
	words int
	// Bit x of row y of unseen: an edge from (x, y) to (x+1, y) still to follow.
	unseen []uint64
	runs   [][]componentRun // by row
	parent []int
}

type componentRun struct{ x0, x1, id int }

func (t *regionTracer) get(x, y int) bool { return t.b.Get(x+t.box.Min.X, y+t.box.Min.Y) }

// connect finds the components: runs that overlap from row to row.
func (t *regionTracer) connect() {
	t.runs = make([][]componentRun, t.box.Dy())
	for y := range t.runs {
		above := 0
		for x0, x1 := range t.b.Row(y + t.box.Min.Y) {
			r := componentRun{x0 - t.box.Min.X, x1 - t.box.Min.X, len(t.parent)}
			t.parent = append(t.parent, r.id)
			if y > 0 {
				row := t.runs[y-1]
				for above < len(row) && row[above].x1 <= r.x0 {
					above++
				}
				for k := above; k < len(row) && row[k].x0 < r.x1; k++ {
					t.parent[t.root(r.id)] = t.root(row[k].id)
				}
			}
			t.runs[y] = append(t.runs[y], r)
		}
	}
}

func (t *regionTracer) root(id int) int {
	for t.parent[id] != id {
		t.parent[id] = t.parent[t.parent[id]]
		id = t.parent[id]
	}
	return id
}

// component returns the component of a set pixel.
func (t *regionTracer) component(x, y int) int {
	row := t.runs[y]
	low, high := 0, len(row)-1
	for low < high {
		if middle := (low + high) / 2; row[middle].x1 > x {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return t.root(row[low].id)
}

// edges marks the horizontal edges between set and unset pixels.
func (t *regionTracer) edges() {
	t.unseen = make([]uint64, t.words*(t.box.Dy()+1))
	for y, row := range t.runs {
		for _, r := range row {
			for _, at := range []int{y, y + 1} {
				flipBits(t.unseen[at*t.words:][:t.words], r.x0, r.x1)
			}
		}
	}
}

// flipBits changes the bits [from, to) of words.
func flipBits(words []uint64, from, to int) {
	for from < to {
		n := min(64-from&63, to-from)
		words[from>>6] ^= ^uint64(0) >> (64 - n) << (from & 63)
		from += n
	}
}

// follow walks a ring with the set pixels on its right and returns its corners. It starts with
// the edge (x, y)–(x+1, y): eastwards if that is the top of a pixel, else westwards. Where
// pixels touch at a corner it stays with its own.
func (t *regionTracer) follow(x, y int, top bool) []point {
	dir := east
	if !top {
		x, dir = x+1, west
	}
	start, first := point{x, y}, dir
	var corners []point
	for {
		var left, right bool
		x, y, left, right = t.b.step(x, y, dir, t.box.Min, t.unseen, t.words)
		switch {
		case !right:
			dir = (dir + 1) & 3
			corners = append(corners, point{x, y})
		case left:
			dir = (dir + 3) & 3
			corners = append(corners, point{x, y})
		}
		if dir == first && (point{x, y}) == start {
			return corners
		}
	}
}

// split cuts a closed ring where it touches itself into rings that do not.
func split(ring []point) [][]point {
	var out [][]point
	var open []point
	at := make(map[point]int, len(ring))
	for _, p := range ring {
		if k, known := at[p]; known {
			out = append(out, append([]point(nil), open[k:]...))
			for _, q := range open[k+1:] {
				delete(at, q)
			}
			open = open[:k+1]
			continue
		}
		at[p] = len(open)
		open = append(open, p)
	}
	return append(out, open)
}

// clockwise reports whether a ring runs clockwise as seen on a screen.
func clockwise(ring []point) bool {
	area, last := 0, ring[len(ring)-1]
	for _, p := range ring {
		area += last.x*p.y - p.x*last.y
		last = p
	}
	return area > 0
}
