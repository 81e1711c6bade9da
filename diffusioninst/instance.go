package diffusioninst

import "github.com/diffusioninst/go/mask"

// Result is what was found in one picture.
type Result struct {
	Width, Height int        // of the picture and of all masks, in pixels
	Instances     []Instance // best score first
}

// Instance is one found object.
type Instance struct {
	Class int     // index into Config.Classes
	Name  string  // of the class
	Score float32 // 0 to 1
	Box   Box
	Mask  *mask.Bitmap // of the picture's size; it is an image.Image too
}

// Area is the number of pixels of the mask.
func (i Instance) Area() int { return i.Mask.Area() }

// Box is a rectangle in pixels of a picture; see [mask.Box].
type Box = mask.Box
