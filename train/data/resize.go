package data

import (
	"fmt"
	"image"
	"math"
	"math/rand/v2"

	"github.com/diffusioninst/go/picture"
)

// ResizeShortest resizes the picture so that its short side gets a random size.
type ResizeShortest struct {
	// Short are the sizes in pixels to choose from.
	Short []int
	// Between takes any size between the two of Short, ends included.
	Between bool
	// Longest is the most that the long side may then have; 0 means no limit.
	Longest int
}

// Apply resizes s.
func (a ResizeShortest) Apply(s Sample, r *rand.Rand) (Sample, error) {
	if r == nil {
		return Sample{}, errNoRandom
	}
	for _, size := range a.Short {
		if size < 1 || size > math.MaxInt32 {
			return Sample{}, fmt.Errorf("data: resize of the short side to %d pixels", size)
		}
	}
	var short int
	switch {
	case a.Between && (len(a.Short) != 2 || a.Short[1] < a.Short[0]):
		return Sample{}, fmt.Errorf("data: resize of the short side to between %v pixels: want two sizes", a.Short)
	case a.Between:
		short = a.Short[0] + r.IntN(a.Short[1]-a.Short[0]+1)
	case len(a.Short) == 0:
		return Sample{}, fmt.Errorf("data: resize of the short side to no size")
	default:
		short = a.Short[r.IntN(len(a.Short))]
	}
	w, h := picture.ShortestEdge(s.Width, s.Height, short, a.Longest)
	if err := checkSize("resize", w, h); err != nil {
		return Sample{}, err
	}
	return resize(s, w, h), nil
}

func resize(s Sample, w, h int) Sample {
	if w == s.Width && h == s.Height {
		return s
	}
	return view(s, w, h, image.Rect(0, 0, w, h))
}

// RandomCrop cuts a random part of a random size out of the picture.
type RandomCrop struct {
	// Width and Height are from where to where the part's sides lie, in pixels. A side
	// that the picture does not have is all of it.
	Width, Height Range
	// Relative takes Width and Height as fractions of the picture's.
	Relative bool
}

// Apply crops s.
func (a RandomCrop) Apply(s Sample, r *rand.Rand) (Sample, error) {
	if r == nil {
		return Sample{}, errNoRandom
	}
	w, err := a.side(a.Width, s.Width, r)
	if err != nil {
		return Sample{}, err
	}
	h, err := a.side(a.Height, s.Height, r)
	if err != nil {
		return Sample{}, err
	}
	return view(s, s.Width, s.Height, place(s.Width, s.Height, w, h, r)), nil
}

func (a RandomCrop) side(v Range, size int, r *rand.Rand) (int, error) {
	if err := v.check("crop of a side", 0); err != nil {
		return 0, err
	}
	if a.Relative {
		return min(max(1, int(v.draw(r)*float64(size)+0.5)), size), nil
	}
	least := min(max(1, int(math.Round(v.Min))), size)
	most := min(max(1, int(math.Round(v.Max))), size)
	return least + r.IntN(most-least+1), nil
}

// place returns a random place for a part of w × h pixels in a picture. A side that is longer
// than the picture's begins with it.
func place(width, height, w, h int, r *rand.Rand) image.Rectangle {
	x, y := r.IntN(max(0, width-w)+1), r.IntN(max(0, height-h)+1)
	return image.Rect(x, y, x+w, y+h)
}
