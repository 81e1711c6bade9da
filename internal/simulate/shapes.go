package simulate

import (
	"image"
	"image/color"
	"math"

	"github.com/diffusioninst/go/mask"
)

// ShapeNames are the names of the classes of [Shapes].
var ShapeNames = []string{"disc", "rectangle", "triangle", "ring", "cross"}

// A shape is a figure that spans −1 to 1 in its own frame.
type shape struct {
	class  int
	center vector
	radius float64
	axis   vector
	aspect float64
	colour [3]float64
}

// Shapes draws plain figures of the classes [ShapeNames], later ones over earlier ones, and
// returns the picture and the figures. Masks hold their visible pixels. Colours are
// independent of classes.
func Shapes(o Options) (*image.RGBA, []Object) {
	o = o.withDefaults()
	r := random(o.Seed)
	shapes := make([]shape, o.Count)
	classes := make([]int, o.Count)
	for i := range shapes {
		shapes[i] = shape{
			class:  r.below(len(ShapeNames)),
			center: vector{r.between(0, float64(o.Width)), r.between(0, float64(o.Height))},
			radius: mul(o.Radius, r.between(0.8, 1.8)), axis: r.direction(), aspect: r.between(0.5, 1),
			colour: [3]float64{r.between(0.1, 1), r.between(0.1, 1), r.between(0.1, 1)},
		}
		classes[i] = shapes[i].class
	}
	img := image.NewRGBA(image.Rect(0, 0, o.Width, o.Height))
	masks := make([]*mask.Bitmap, o.Count)
	ground, shade := texture{r.next(), 4}, texture{r.next(), 2}
	base := r.between(0.25, 0.75)
	for y := range o.Height {
		for x := range o.Width {
			p := vector{float64(x) + 0.5, float64(y) + 0.5}
			if k := topmost(shapes, p); k >= 0 {
				if masks[k] == nil {
					masks[k] = &mask.Bitmap{Width: o.Width, Height: o.Height}
				}
				masks[k].Set(x, y, true)
			}
			c := soft(shapes, p, base+mul(0.3, ground.at(p.x/50, p.y/50)-0.5))
			light := 0.85 + mul(0.3, shade.at(p.x/90, p.y/90))
			grain := mul(0.015, r.normal())
			img.SetRGBA(x, y, color.RGBA{byte8(mul(c[0], light) + grain), byte8(mul(c[1], light) + grain), byte8(mul(c[2], light) + grain), 255})
		}
	}
	return img, visible(masks, classes)
}

// soft returns the mean colour of nine points of the pixel around p.
func soft(shapes []shape, p vector, ground float64) [3]float64 {
	var sum [3]float64
	for i := range 9 {
		q := vector{p.x + float64(i%3-1)/3, p.y + float64(i/3-1)/3}
		c := [3]float64{ground, ground, ground}
		if k := topmost(shapes, q); k >= 0 {
			c = shapes[k].colour
		}
		for j := range sum {
			sum[j] += c[j] / 9
		}
	}
	return sum
}

// topmost returns the index of the last shape that covers p, or −1.
func topmost(shapes []shape, p vector) int {
	for i := len(shapes) - 1; i >= 0; i-- {
		if shapes[i].covers(p) {
			return i
		}
	}
	return -1
}

// covers reports whether p is inside the shape.
func (s *shape) covers(p vector) bool {
	q := vector{p.x - s.center.x, p.y - s.center.y}
	if math.Abs(q.x) > s.radius || math.Abs(q.y) > s.radius {
		return false
	}
	q = q.turn(s.axis)
	x, y := q.x/s.radius, q.y/s.radius
	rr := mul(x, x) + mul(y, y)
	switch ShapeNames[s.class] {
	case "disc":
		return rr < 1
	case "rectangle": // with its corners on the circle
		w := 1 / math.Sqrt(1+mul(s.aspect, s.aspect))
		return math.Abs(x) < w && math.Abs(y) < mul(w, s.aspect)
	case "triangle": // equilateral
		const side = 1.7320508075688772
		return y > -0.5 && mul(side, math.Abs(x)) < 1-y
	case "ring":
		return rr < 1 && rr > 0.3
	}
	arm := 0.3
	x, y = math.Abs(x), math.Abs(y)
	return max(x, y) < 0.95 && min(x, y) < arm
}
