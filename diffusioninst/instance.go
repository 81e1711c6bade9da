package diffusioninst

import (
	"encoding/binary"
	"errors"
	"fmt"
	"image"

	"github.com/diffusioninst/go/mask"
)

// Box is a rectangle in pixels of a picture; see [mask.Box].
type Box = mask.Box

// Result is what was found in one picture.
type Result struct {
	Width, Height int        // of the picture and of all masks, in pixels
	Instances     []Instance // best score first
	// Warning says that the picture is so dark or flat that stretching it (Options.Normalize)
	// would help; else it is empty.
	Warning string
}

// LabelMap returns a picture whose value at a pixel is i+1 for instance i, and 0 for
// background. Where instances overlap the one with the best score is on top. More than
// 65535 instances are an error.
func (r *Result) LabelMap() (*image.Gray16, error) {
	if r == nil {
		return nil, errors.New("diffusioninst: label map: there is no result")
	}
	n := len(r.Instances)
	masks := make([]*mask.Bitmap, n) // worst first: the last one is on top
	for i, in := range r.Instances {
		masks[n-1-i] = in.Mask
	}
	labels, err := mask.LabelMap(r.Width, r.Height, masks)
	if err != nil {
		return nil, fmt.Errorf("diffusioninst: label map: %w", err)
	}
	for p := labels.Pix; len(p) > 1; p = p[2:] {
		if v := binary.BigEndian.Uint16(p); v != 0 {
			binary.BigEndian.PutUint16(p, uint16(n+1)-v)
		}
	}
	return labels, nil
}

// Instance is one found object.
type Instance struct {
	Class int     // index into Config.Classes
	Name  string  // of the class
	Score float32 // 0 to 1
	Box   Box
	Mask  *mask.Bitmap // of the picture's size, stored around the box; it is an image.Image too
}

// Area returns the number of pixels of the mask, 0 without one.
func (i Instance) Area() int {
	if i.Mask == nil {
		return 0
	}
	return i.Mask.Area()
}
