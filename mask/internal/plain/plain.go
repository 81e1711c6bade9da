// Package plain has the slow and plain counterparts of package mask, pixel by
// pixel, for tests. Its fuzz targets live beside them: without other imports the
// fuzzer, which counts coverage in all of them, runs several times faster.
package plain

import (
	"image"
	"math/rand/v2"

	"github.com/diffusioninst/go/mask"
)

// Random draws a mask: noise, a few rectangles, or both, down to empty and full.
func Random(rng *rand.Rand, width, height int) *mask.Bitmap {
	b := mask.NewBitmap(width, height)
	if rng.IntN(2) == 0 {
		density := []float64{0, .02, .3, .6, .98, 1}[rng.IntN(6)]
		for y := range height {
			for x := range width {
				b.Set(x, y, rng.Float64() < density)
			}
		}
	}
	for range rng.IntN(4) {
		x, y := rng.IntN(width), rng.IntN(height)
		r := image.Rect(x, y, x+1+rng.IntN(width), y+1+rng.IntN(height)).Intersect(b.Bounds())
		v := rng.IntN(3) > 0
		for y := r.Min.Y; y < r.Max.Y; y++ {
			for x := r.Min.X; x < r.Max.X; x++ {
				b.Set(x, y, v)
			}
		}
	}
	return b
}

// Stored returns the mask b, stored in a random part of the picture that holds it.
func Stored(rng *rand.Rand, b *mask.Bitmap) *mask.Bitmap {
	r := Box(b)
	if r.Empty() || rng.IntN(2) == 0 {
		x, y := rng.IntN(b.Width), rng.IntN(b.Height)
		r = r.Union(image.Rect(x, y, x+1+rng.IntN(b.Width-x), y+1+rng.IntN(b.Height-y)))
	}
	out := mask.NewBitmapIn(b.Width, b.Height, r)
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			out.Set(x, y, b.Get(x, y))
		}
	}
	return out
}

// Build makes a mask from a function of the pixel.
func Build(width, height int, f func(x, y int) bool) *mask.Bitmap {
	b := mask.NewBitmap(width, height)
	for y := range height {
		for x := range width {
			b.Set(x, y, f(x, y))
		}
	}
	return b
}

// Counts is the run lengths of b.
func Counts(b *mask.Bitmap) []uint32 {
	var out []uint32
	var n uint32
	value := false
	for x := range b.Width {
		for y := range b.Height {
			if b.Get(x, y) != value {
				out, n, value = append(out, n), 0, !value
			}
			n++
		}
	}
	return append(out, n)
}

// Box is the smallest rectangle that holds the set pixels of b.
func Box(b *mask.Bitmap) image.Rectangle {
	var r image.Rectangle
	for y := range b.Height {
		for x := range b.Width {
			if b.Get(x, y) {
				r = r.Union(image.Rect(x, y, x+1, y+1))
			}
		}
	}
	return r
}

// Polygon draws the outline of polygon on the COCO API's finer grid point by
// point and toggles the pixels below every crossing.
func Polygon(polygon []float64, width, height int) *mask.Bitmap {
	n := len(polygon) / 2
	var us, vs []int
	for i := range n {
		grid := func(k int) int { return int(5*polygon[k%len(polygon)] + .5) }
		x0, y0, x1, y1 := grid(2*i), grid(2*i+1), grid(2*i+2), grid(2*i+3)
		dx, dy := max(x0-x1, x1-x0), max(y0-y1, y1-y0)
		if dx == 0 && dy == 0 {
			us, vs = append(us, x0), append(vs, y0)
			continue
		}
		var u, v []int
		if dx >= dy {
			ax, ay, bx, by := x0, y0, x1, y1
			if ax > bx {
				ax, ay, bx, by = bx, by, ax, ay
			}
			s := float64(by-ay) / float64(dx)
			for t := 0; t <= bx-ax; t++ {
				u, v = append(u, ax+t), append(v, int(float64(ay)+float64(s*float64(t))+.5))
			}
		} else {
			ax, ay, bx, by := x0, y0, x1, y1
			if ay > by {
				ax, ay, bx, by = bx, by, ax, ay
			}
			s := float64(bx-ax) / float64(dy)
			for t := 0; t <= by-ay; t++ {
				u, v = append(u, int(float64(ax)+float64(s*float64(t))+.5)), append(v, ay+t)
			}
		}
		if dx >= dy && x0 > x1 || dx < dy && y0 > y1 {
			for k := range u {
				us, vs = append(us, u[len(u)-1-k]), append(vs, v[len(v)-1-k])
			}
		} else {
			us, vs = append(us, u...), append(vs, v...)
		}
	}
	b := mask.NewBitmap(width, height)
	for i := 1; i < len(us); i++ {
		u := min(us[i], us[i-1])
		if us[i] == us[i-1] || u < 2 || (u-2)%5 != 0 || (u-2)/5 >= width {
			continue
		}
		// The rest of the picture, down this column and all later ones, toggles.
		x := (u - 2) / 5
		v := float64(min(vs[i], vs[i-1]))
		y := 0
		for float64(y) < (v+.5)/5-.5 && y < height {
			y++
		}
		for pos := x*height + y; pos < width*height; pos++ {
			b.Set(pos/height, pos%height, !b.Get(pos/height, pos%height))
		}
	}
	return b
}
