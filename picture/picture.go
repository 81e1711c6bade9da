package picture

import "image"

// A Picture is a picture read from a file, upright, with bounds that start at (0, 0). It is
// an image.Image itself, so that it can be given to functions that take one; its pixels
// without the rest are in Image.
type Picture struct {
	// Image holds the pixels at the file's depth, opaque: an *image.RGBA for samples of up
	// to 8 bits; an *image.Gray16 or *image.RGBA64 for unsigned ones of up to 16 bits, with
	// the values that the file has; a *[Float] for all others.
	image.Image
	Format   string   // "png", "jpeg", "tiff", …
	Bits     int      // of a sample in the file
	Channels []string // all channels of the file, by name if it has names, else by number from 1
	Pages    int      // number of pages in the file
	Page     int      // the one that this is, from 1
	// PixelSize is the width and height of a pixel in micrometres, 0 if the file does not say.
	PixelSize [2]float64
	// Note says what was taken of several possibilities without having been asked for, such as
	// the first of several channels. It is empty if there was no choice.
	Note string
	// Warning is that of [Normalize.Apply] if Options.Normalize was given.
	Warning string

	held []int // the channels of the file that Image has
}

// pixelsOf returns the pixels of a picture in place of the Picture.
func pixelsOf(img image.Image) image.Image {
	if p, ok := img.(*Picture); ok && p != nil {
		return p.Image
	}
	return img
}
