package simulate

import (
	"image"
	"math"

	"github.com/diffusioninst/go/mask"
)

// A Style is how a field of nuclei looks.
type Style int

const (
	Fluorescence Style = iota // bright nuclei on black, as after DAPI staining
	Histology                 // purple nuclei in pink tissue, as after H&E staining
)

// Options describe a picture. Values of zero or less mean the defaults, which are given after
// the colons.
type Options struct {
	Width, Height int     // pixels: 512 × 384
	Count         int     // objects to place; those that find no room or are hidden are left out: 40
	Radius        float64 // mean radius in pixels: the objects cover about a third of the picture
	Seed          uint64
	Style         Style   // of Nuclei
	Brightness    float64 // of Fluorescence: 1
}

func (o Options) withDefaults() Options {
	if o.Width <= 0 {
		o.Width = 512
	}
	if o.Height <= 0 {
		o.Height = 384
	}
	if o.Count <= 0 {
		o.Count = 40
	}
	if o.Radius <= 0 {
		area := mul(float64(o.Width), float64(o.Height))
		o.Radius = math.Sqrt(area / mul(9, float64(o.Count)))
	}
	if o.Brightness <= 0 {
		o.Brightness = 1
	}
	return o
}

// An Object is one instance in a picture.
type Object struct {
	Class int             // 0 for nuclei, an index into ShapeNames for shapes
	Mask  *mask.Bitmap    // its visible pixels; its size is the picture's
	Box   image.Rectangle // the smallest box around the mask
}

// leastArea is the least number of visible pixels of an object.
const leastArea = 12

// Nuclei draws a field of nuclei of many sizes and shapes, many of them touching, unevenly
// lit. It returns the picture and the nuclei. Masks do not overlap: where two nuclei meet, a
// pixel belongs to the one that it is deeper inside. Nuclei may extend beyond the picture.
func Nuclei(o Options) (*image.RGBA, []Object) {
	o = o.withDefaults()
	r := random(o.Seed)
	nuclei := place(&r, o.Width, o.Height, o.Count, o.Radius)
	f := newField(o.Width, o.Height, nuclei)
	objects := f.objects()
	var img *image.RGBA
	if o.Style == Histology {
		img = f.histology(&r)
	} else {
		img = f.fluorescence(&r, o.Brightness)
	}
	return img, objects
}

// A field assigns each pixel to a nucleus.
type field struct {
	width, height int
	nuclei        []nucleus
	owner         []int32   // index into nuclei; −1 for the background
	level         []float64 // of the owner; 0 for the background
}

func newField(width, height int, nuclei []nucleus) *field {
	f := &field{width, height, nuclei, make([]int32, width*height), make([]float64, width*height)}
	for i := range f.owner {
		f.owner[i] = -1
	}
	area := make([]int, len(nuclei))
	for k := range nuclei {
		n := &nuclei[k]
		f.each(n, func(i int, p vector) {
			level := n.level(p)
			if level < 1 && (f.owner[i] < 0 || level < f.level[i]) {
				if old := f.owner[i]; old >= 0 {
					area[old]--
				}
				area[k]++
				f.owner[i], f.level[i] = int32(k), level
			}
		})
	}
	for i, k := range f.owner { // slivers at the edges become background
		if k >= 0 && area[k] < leastArea {
			f.owner[i], f.level[i] = -1, 0
		}
	}
	return f
}

// each calls visit for the pixels around n, with their index and the position of their centre.
func (f *field) each(n *nucleus, visit func(i int, p vector)) {
	reach := n.reach()
	left, right := max(0, int(n.center.x-reach)), min(f.width-1, int(n.center.x+reach))
	top, bottom := max(0, int(n.center.y-reach)), min(f.height-1, int(n.center.y+reach))
	for y := top; y <= bottom; y++ {
		for x := left; x <= right; x++ {
			visit(y*f.width+x, vector{float64(x) + 0.5, float64(y) + 0.5})
		}
	}
}

func (f *field) objects() []Object {
	masks := make([]*mask.Bitmap, len(f.nuclei))
	for i, k := range f.owner {
		if k < 0 {
			continue
		}
		if masks[k] == nil {
			masks[k] = &mask.Bitmap{Width: f.width, Height: f.height}
		}
		masks[k].Set(i%f.width, i/f.width, true)
	}
	return visible(masks, nil)
}

// visible returns the objects whose masks are large enough. Nil classes mean class 0.
func visible(masks []*mask.Bitmap, classes []int) []Object {
	var out []Object
	for i, m := range masks {
		if m == nil || m.Area() < leastArea {
			continue
		}
		o := Object{Mask: m, Box: m.Box()}
		if classes != nil {
			o.Class = classes[i]
		}
		out = append(out, o)
	}
	return out
}

// byte8 scales x from 0 … 1 to 0 … 255, rounds it and clamps it.
func byte8(x float64) uint8 { return uint8(max(0, min(mul(x, 255)+0.5, 255))) }
