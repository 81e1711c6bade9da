package diffusioninst

import (
	"fmt"

	"github.com/diffusioninst/go/mask"
)

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

// Box is a rectangle in pixels of the picture; the right and lower edge lie
// outside of it, and fractions are kept.
type Box struct{ X1, Y1, X2, Y2 float32 }

func (b Box) String() string { return fmt.Sprintf("%.1f,%.1f–%.1f,%.1f", b.X1, b.Y1, b.X2, b.Y2) }

// Width is the horizontal size.
func (b Box) Width() float32 { return b.X2 - b.X1 }

// Height is the vertical size.
func (b Box) Height() float32 { return b.Y2 - b.Y1 }
