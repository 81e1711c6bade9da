package coco

import (
	"errors"
	"fmt"

	"github.com/diffusioninst/go/mask"
)

// A Segmentation is a mask in one of the forms of COCO files, kept as the file has
// it: polygons, run lengths, or compressed run lengths. The zero value is none.
type Segmentation struct {
	// Polygons are the parts of an object, each x0 y0 x1 y1 … in pixels. Their
	// union is the mask.
	Polygons [][]float64

	// Height and Width are the size that goes with the run lengths.
	Height, Width int

	// Counts are run lengths down the columns, starting with a run of unset pixels.
	Counts []uint32

	// Compressed is the string form of Counts.
	Compressed string

	// unread is what is wrong with the parts of the mask, or the whole, that cannot be read.
	unread *[]string
}

// NewSegmentation returns the compressed form of a mask.
func NewSegmentation(r mask.RLE) Segmentation {
	return Segmentation{Height: r.Height, Width: r.Width, Compressed: r.String()}
}

// Empty reports whether there is no mask at all, as opposed to one without
// pixels or one that cannot be read.
func (s Segmentation) Empty() bool {
	return s.unread == nil && s.missing()
}

func (s Segmentation) missing() bool {
	return len(s.Polygons) == 0 && s.Counts == nil && s.Compressed == "" && s.Height == 0 && s.Width == 0
}

// faults returns what is wrong with the parts that cannot be read.
func (s Segmentation) faults() []string {
	if s.unread == nil {
		return nil
	}
	return *s.unread
}

// maxSide bounds what a few corners of a polygon can make of a claimed size.
const maxSide = 1 << 18

var errNoSegmentation = errors.New("no segmentation")

// RLE returns the mask on a picture of the given size, polygons rasterised as by
// the COCO API. Run lengths of another size, invalid ones, malformed polygons,
// polygons entirely outside the picture, an empty s, and parts that could not be read
// from the file are errors.
func (s Segmentation) RLE(width, height int) (mask.RLE, error) {
	switch {
	case s.Empty():
		return mask.RLE{}, errNoSegmentation
	case s.unread != nil:
		return mask.RLE{}, errors.New(s.faults()[0])
	case width < 0 || height < 0 || max(width, height) > maxSide:
		return mask.RLE{}, fmt.Errorf("image of %d×%d pixels: sides reach to %d", width, height, maxSide)
	case len(s.Polygons) > 0:
		for i, p := range s.Polygons {
			if outside(p, float64(width), float64(height)) {
				return mask.RLE{}, fmt.Errorf("polygon %d lies outside the image of %d×%d pixels", i, width, height)
			}
		}
		return mask.FromPolygons(s.Polygons, width, height)
	case s.Width != width || s.Height != height:
		return mask.RLE{}, fmt.Errorf("segmentation of %d×%d pixels on an image of %d×%d",
			s.Width, s.Height, width, height)
	case s.Counts != nil:
		r := mask.RLE{Width: width, Height: height, Counts: s.Counts}
		return r, r.Validate()
	}
	return mask.ParseRLE(width, height, s.Compressed)
}

// outside reports whether all points of a polygon lie on one side of a picture.
func outside(polygon []float64, width, height float64) bool {
	var left, right, above, below int
	points := len(polygon) / 2
	for i := range points {
		x, y := polygon[2*i], polygon[2*i+1]
		if x < 0 {
			left++
		}
		if x > width {
			right++
		}
		if y < 0 {
			above++
		}
		if y > height {
			below++
		}
	}
	return points > 0 && max(left, right, above, below) == points
}
