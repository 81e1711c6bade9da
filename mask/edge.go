package mask

import "image"

// The directions in which a contour runs, clockwise.
const (
	east = iota
	south
	west
	north
)

var (
	ahead = [4]image.Point{east: {1, 0}, south: {0, 1}, west: {-1, 0}, north: {0, -1}}
	// leftAhead is where the pixel ahead on the left is, seen from a corner; that on the right is
	// the left one of the next direction.
	leftAhead = [4]image.Point{east: {0, -1}, south: {0, 0}, west: {-1, 0}, north: {-1, -1}}
)

// step goes from a corner of pixels along one edge and returns the next corner, and whether the
// two pixels ahead of it are set. Corners count from origin. If the edge is horizontal it is
// cleared in unseen, whose bit x of row y, of so many words, is the edge (x, y)–(x+1, y).
func (b *Bitmap) step(x, y, dir int, origin image.Point, unseen []uint64, words int) (nx, ny int, left, right bool) {
	nx, ny = x+ahead[dir].X, y+ahead[dir].Y
	if ny == y {
		at := min(x, nx)
		unseen[y*words+at>>6] &^= 1 << (at & 63)
	}
	l, r := leftAhead[dir], leftAhead[(dir+1)&3]
	return nx, ny, b.Get(origin.X+nx+l.X, origin.Y+ny+l.Y), b.Get(origin.X+nx+r.X, origin.Y+ny+r.Y)
}
