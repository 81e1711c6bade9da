package data

import (
	"image"
	"slices"

	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/picture"
)

// change is what happens to a picture and all that lies on it.
type change struct {
	width, height int // of the result
	rgb           []uint8
	box           func(mask.Box) mask.Box
	mask          func(*mask.Bitmap) *mask.Bitmap
}

// apply makes the changed sample: see the package comment for which objects are left, and
// with which boxes.
func (c change) apply(s Sample) Sample {
	out := Sample{ID: s.ID, Width: c.width, Height: c.height, RGB: c.rgb}
	for _, o := range s.Objects {
		moved := c.box(o.Box)
		box := moved.Clip(c.width, c.height)
		if box.Empty() {
			continue
		}
		m := c.mask(o.Mask)
		if m.Empty() {
			continue
		}
		if box != moved {
			box = mask.BoxOf(m.Box())
		}
		out.Objects = append(out.Objects, Object{Class: o.Class, Box: box, Mask: m})
	}
	return out
}

// paddingColor is the mean colour of ImageNet, which is near the zero of every network
// that normalises its input.
var paddingColor = [3]uint8{124, 116, 104}

// view resizes a sample to width × height pixels and returns the part in a rectangle.
// What lies beyond the resized picture is filled with paddingColor. Nothing outside the
// part is computed.
func view(s Sample, width, height int, part image.Rectangle) Sample {
	in := part.Intersect(image.Rect(0, 0, width, height))
	rgb := picture.ResizePart(s.RGB, s.Width, s.Height, width, height, in)
	if in != part {
		rgb = pad(rgb, in.Sub(part.Min), part.Dx(), part.Dy())
	}
	sx, sy := float64(width)/float64(s.Width), float64(height)/float64(s.Height)
	box := func(b mask.Box) mask.Box { return b.Affine(sx, sy, -float64(part.Min.X), -float64(part.Min.Y)) }
	if s.Width == width && s.Height == height {
		return change{part.Dx(), part.Dy(), rgb, box,
			func(m *mask.Bitmap) *mask.Bitmap { return m.Crop(part) },
		}.apply(s)
	}
	nearest := newNearest(s.Width, s.Height, width, height, part)
	return change{part.Dx(), part.Dy(), rgb, box, nearest.mask}.apply(s)
}

// pad puts a picture at its place in one of width × height pixels.
func pad(rgb []uint8, at image.Rectangle, width, height int) []uint8 {
	out := make([]uint8, 3*width*height)
	for i := 0; i < len(out); i += 3 {
		copy(out[i:], paddingColor[:])
	}
	for y := at.Min.Y; y < at.Max.Y; y++ {
		copy(out[3*(y*width+at.Min.X):], rgb[:3*at.Dx()])
		rgb = rgb[3*at.Dx():]
	}
	return out
}

// nearest resizes masks as [mask.Bitmap.Resize] does and cuts a part out.
type nearest struct {
	part image.Rectangle
	in   image.Rectangle // of the part, what the resized mask covers
	rows []int           // source row of each row of in
	// first[x] is the first column of the part that lies on source column x or beyond.
	first []int
}

func newNearest(w, h, width, height int, part image.Rectangle) nearest {
	n := nearest{part: part, in: part.Intersect(image.Rect(0, 0, width, height)), first: make([]int, w+1)}
	for y := n.in.Min.Y; y < n.in.Max.Y; y++ {
		n.rows = append(n.rows, (2*y+1)*h/(2*height))
	}
	// Target column X lies on source column ⌊(2X+1)·w / 2·width⌋.
	for x := range n.first {
		at := max(0, (2*width*x-w+2*w-1)/(2*w))
		n.first[x] = min(max(at, n.in.Min.X), n.in.Max.X) - part.Min.X
	}
	return n
}

func (n nearest) mask(m *mask.Bitmap) *mask.Bitmap {
	top := n.in.Min.Y - n.part.Min.Y
	// The rows of the part that lie on those that m stores.
	first, _ := slices.BinarySearch(n.rows, m.Rect.Min.Y)
	last, _ := slices.BinarySearch(n.rows, m.Rect.Max.Y)
	out := mask.NewBitmapIn(n.part.Dx(), n.part.Dy(), image.Rect(n.first[m.Rect.Min.X], top+first, n.first[m.Rect.Max.X], top+last))
	for i := first; i < last; {
		same := i + 1 // rows of the part that lie on one of m
		for same < last && n.rows[same] == n.rows[i] {
			same++
		}
		for x0, x1 := range m.Row(n.rows[i]) {
			out.Fill(image.Rect(n.first[x0], top+i, n.first[x1], top+same))
		}
		i = same
	}
	return out
}
