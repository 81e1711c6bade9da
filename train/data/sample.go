package data

import (
	"fmt"
	"math"
	"strconv"

	"github.com/diffusioninst/go/mask"
)

// A Sample is one picture with its objects.
type Sample struct {
	ID            string // names the picture in errors
	Width, Height int
	RGB           []uint8 // Height × Width × 3, row by row
	Objects       []Object
}

// An Object is a ground truth.
type Object struct {
	Class int // index into the configuration's classes
	Box   mask.Box
	Mask  *mask.Bitmap // of the picture's size
}

// A SampleError says which sample cannot be trained on, and why.
type SampleError struct {
	ID     string // the sample's
	Reason string // what of it is wrong; may be empty if Err is set
	Err    error  // cause; may be nil
}

// noSample is the error of a data set that has no sample of a number.
func noSample(i int) error {
	return &SampleError{ID: strconv.Itoa(i), Reason: "the data set has no such sample"}
}

// Error returns "data: sample ID: reason: cause".
func (e *SampleError) Error() string {
	out := "data: sample " + e.ID
	if e.Reason != "" {
		out += ": " + e.Reason
	}
	if e.Err != nil {
		out += ": " + e.Err.Error()
	}
	return out
}

// Unwrap returns the cause.
func (e *SampleError) Unwrap() error { return e.Err }

// Check returns a *SampleError for a sample that a network of a number of classes
// cannot be trained on: sizes that do not agree, classes that do not exist, boxes
// without area on the picture.
func (s Sample) Check(classes int) error {
	bad := func(format string, args ...any) error {
		return &SampleError{ID: s.ID, Reason: fmt.Sprintf(format, args...)}
	}
	if s.Width < 1 || s.Height < 1 || s.Width > len(s.RGB)/3/s.Height || len(s.RGB) != 3*s.Width*s.Height {
		return bad("%d bytes for %d×%d pixels", len(s.RGB), s.Width, s.Height)
	}
	for i, o := range s.Objects {
		b := o.Box
		finite := true
		for _, v := range []float32{b.X1, b.Y1, b.X2, b.Y2} {
			finite = finite && !math.IsNaN(float64(v)) && !math.IsInf(float64(v), 0)
		}
		switch {
		case o.Class < 0 || o.Class >= classes:
			return bad("object %d is of class %d of %d", i, o.Class, classes)
		case !finite || b.Empty():
			return bad("object %d has the box %v, which has no area", i, b)
		case b.Clip(s.Width, s.Height).Empty():
			return bad("object %d has the box %v, beside the picture of %d×%d pixels", i, b, s.Width, s.Height)
		case o.Mask == nil:
			return bad("object %d has no mask", i)
		case o.Mask.Width != s.Width || o.Mask.Height != s.Height:
			return bad("object %d has a mask of %d×%d pixels, the picture %d×%d", i, o.Mask.Width, o.Mask.Height, s.Width, s.Height)
		case o.Mask.Validate() != nil:
			return bad("object %d: %v", i, o.Mask.Validate())
		}
	}
	return nil
}

// add adds the object of a mask, unless that has no pixels. Its box is the given one, as
// far as it lies on the picture, or the mask's if that leaves none.
func (s *Sample) add(class int, m mask.RLE, given mask.Box) {
	if m.Area() == 0 {
		return
	}
	o := Object{Class: class, Box: given.Clip(s.Width, s.Height), Mask: m.Bitmap()}
	if o.Box.Empty() {
		o.Box = mask.BoxOf(o.Mask.Box())
	}
	s.Objects = append(s.Objects, o)
}
