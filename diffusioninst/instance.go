package diffusioninst

import (
	"image"

	"github.com/diffusioninst/go/mask"
)

// Box is a rectangle in pixels of a picture; see [mask.Box].
type Box = mask.Box

// Result is what was found in one picture.
type Result struct {
	Width, Height int        // of the picture and of all masks, in pixels
	Instances     []Instance // best score first
}

// LabelMap returns a picture whose value at a pixel is i+1 for instance i, and 0 for
// background. Where instances overlap the one with the best score is on top. More than
// 65535 instances are an error.
func (r *Result) LabelMap() (*image.Gray16, error) {
	masks := make([]*mask.Bitmap, len(r.Instances))
	for i, in := range r.Instances {
		masks[i] = in.Mask
	}
	return mask.LabelMap(r.Width, r.Height, masks)
}

// Instance is one found object.
type Instance struct {
	Class int     // index into Config.Classes
	Name  string  // of the class
	Score float32 // 0 to 1
	Box   Box
	Mask  *mask.Bitmap // of the picture's size; it is an image.Image too
}

// Area returns the number of pixels of the mask.
func (i Instance) Area() int { return i.Mask.Area() }
