package picture

import (
	"errors"
	"image"
	"slices"

	"github.com/diffusioninst/go/internal/nilcheck"
)

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
	// Notes say, a sentence each, what was taken of several possibilities without having been
	// asked for, such as the first of several channels, and what was left out, such as alpha.
	Notes []string
	// Warnings say what is wrong with the file though it was read, such as a broken list of
	// pages, and, if Options.Normalize was given, what [Normalize.Apply] warns of.
	Warnings []string

	held []int // the channels of the file that Image has
}

// PixelSide returns the side of a pixel in micrometres: 0 if the file does not say, or if pixels
// are not square beyond the rounding of files.
func (p *Picture) PixelSide() float64 {
	if ratio := p.PixelSize[0] / p.PixelSize[1]; ratio > 0.999 && ratio < 1.001 {
		return p.PixelSize[0]
	}
	return 0
}

// Normalized returns the picture as [Normalize.Apply] makes it, with what is to be said about that
// in Notes and Warnings.
func (p *Picture) Normalized(n Normalize) (*Picture, error) {
	if p == nil || nilcheck.Is(p.Image) {
		return nil, errors.New("picture: there is no picture to normalize")
	}
	img, note, warning, err := n.apply(p.Image)
	if err != nil {
		return nil, err
	}
	out := *p
	out.Image, out.Notes, out.Warnings = img, slices.Clip(p.Notes), slices.Clip(p.Warnings)
	if note != "" {
		out.note(note)
	}
	if warning != "" {
		out.Warnings = append(out.Warnings, warning)
	}
	return &out, nil
}

func (p *Picture) note(text string) { p.Notes = append(p.Notes, text) }

// pixelsOf returns the pixels of a picture in place of the Picture.
func pixelsOf(img image.Image) image.Image {
	if p, ok := img.(*Picture); ok && p != nil {
		return p.Image
	}
	return img
}
