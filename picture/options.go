package picture

import (
	"fmt"
	"image"
	"math"
)

// Options say what to read of a file, and how much at most. The zero value of a bound means
// its default, a negative one no bound.
type Options struct {
	MaxPixels int   // greatest width × height: 100 million, 400 MB once decoded
	MaxSide   int   // greatest width and height: 65535, which is the most that JPEG and GIF can have
	MaxBytes  int64 // greatest size of the file: 1 GiB; it does not hold for TIFF files that can be sought in

	// Page is the page of a file with several, from 1. Without it such a file is an error
	// that lists them, unless its pages are channels only.
	Page int
	// Channels are one to three channels, by number from 1 or by name ("DAPI", "red", "r"):
	// one is read as grey, several as red, green and blue in this order. Without it a file of
	// several channels gives the first, unless they are red, green and blue.
	Channels []string
	// Z is the slice of a stack, from 1. MaxZ takes the greatest value of each pixel over
	// the slices. Time is the frame of a series, and Scene the image of an OME-TIFF file with
	// several. The pages of a file that names no axes are slices for Z and MaxZ, and frames
	// for Time.
	Z     int
	MaxZ  bool
	Time  int
	Scene int
	// Level is a smaller copy of the page that a TIFF file holds, as whole slides do: 1 is the
	// first, 0 the page itself.
	Level int
	// Normalize brings the picture to 8 bits: see [Normalize.Apply]. Without it the picture
	// has the depth of its file, and a model stretches it as it needs it.
	Normalize Normalize
	// Admit, if not nil, is asked with the size that the header says before any pixel is
	// decoded, and may be asked again. If it returns an error the picture is not read, and the
	// error is the cause of one of kind ErrTooLarge: for callers that set memory aside first.
	Admit func(width, height int) error
}

func (o Options) withDefaults() Options {
	if o.MaxPixels == 0 {
		o.MaxPixels = 100_000_000
	}
	if o.MaxSide == 0 {
		o.MaxSide = 65535
	}
	switch {
	case o.MaxBytes == 0:
		o.MaxBytes = 1 << 30
	case o.MaxBytes < 0:
		o.MaxBytes = math.MaxInt64 - 1
	}
	return o
}

// validate refuses choices that contradict each other.
func (o Options) validate() error {
	switch {
	case o.Level < 0:
		return &Error{Kind: ErrChoice, Reason: fmt.Sprintf("level %d: 0 is the page itself, 1 its first smaller copy", o.Level)}
	case o.Page < 0, o.Z < 0, o.Time < 0, o.Scene < 0:
		return &Error{Kind: ErrChoice, Reason: fmt.Sprintf("page %d, slice %d, time %d, scene %d: they count from 1", o.Page, o.Z, o.Time, o.Scene)}
	case o.Page > 0 && (o.Z > 0 || o.MaxZ || o.Time > 0 || o.Scene > 0):
		return &Error{Kind: ErrChoice, Reason: "a page is one slice of one time and scene: choose the page or these"}
	case o.Z > 0 && o.MaxZ:
		return &Error{Kind: ErrChoice, Reason: "a slice and the greatest value of all slices exclude each other"}
	case len(o.Channels) > 3:
		return &Error{Kind: ErrChoice, Reason: fmt.Sprintf("%d channels: red, green and blue are three", len(o.Channels))}
	}
	return o.Normalize.Check()
}

func (o Options) check(c image.Config) error {
	switch {
	case c.Width <= 0 || c.Height <= 0:
		return &Error{Kind: ErrEmpty, Reason: fmt.Sprintf("%d×%d pixels", c.Width, c.Height)}
	case o.MaxSide > 0 && max(c.Width, c.Height) > o.MaxSide:
		return &Error{Kind: ErrTooLarge, Reason: fmt.Sprintf("%d×%d pixels, the limit is %d per side", c.Width, c.Height, o.MaxSide)}
	case o.MaxPixels > 0 && c.Width > o.MaxPixels/c.Height:
		return &Error{Kind: ErrTooLarge, Reason: fmt.Sprintf("%d×%d pixels, the limit is %d pixels", c.Width, c.Height, o.MaxPixels)}
	}
	if o.Admit != nil {
		if err := o.Admit(c.Width, c.Height); err != nil {
			return &Error{Kind: ErrTooLarge, Reason: err.Error(), Err: err}
		}
	}
	return nil
}
