package main

import (
	"image"

	"github.com/diffusioninst/go/annotation"
	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/picture"
)

// A pictureSource is what writers may need of a picture besides its instances. Its functions
// are called only if a format needs them.
type pictureSource struct {
	// pixels returns the picture as it is drawn on.
	pixels func() (image.Image, error)
	// original is nil if there are no pictures.
	original func() (*original, error)
	// pixelSize is that of --pixel-size in µm, or 0 for the file's own.
	pixelSize float64

	opened   *original
	measured *annotation.Measurements
}

// An original is a picture at the depth of its file, with all channels.
type original struct {
	*picture.Picture
	channels []picture.Channel
	stamp    string // of what was read
}

// inFile reports whether a picture stays in its file because it is too large to be read at once. It
// is not drawn on.
func inFile(img image.Image) bool {
	_, ok := img.(*picture.Source)
	return ok
}

// open returns the original picture, with no channels if there is none.
func (s *pictureSource) open() (*original, error) {
	if s.opened == nil {
		s.opened = &original{Picture: &picture.Picture{}}
		if s.original != nil {
			var err error
			if s.opened, err = s.original(); err != nil {
				s.opened = nil
				return nil, err
			}
		}
	}
	return s.opened, nil
}

// sizeOfPixel returns the side of a pixel in µm, or 0 if it is unknown.
func (s *pictureSource) sizeOfPixel() (float64, error) {
	if s.pixelSize > 0 {
		return s.pixelSize, nil
	}
	o, err := s.open()
	if err != nil {
		return 0, err
	}
	return o.PixelSide(), nil
}

// oblong reports whether the picture's pixels are known not to be square, so that no single
// number is their size.
func (s *pictureSource) oblong() bool {
	return s.pixelSize == 0 && s.opened != nil && s.opened.PixelSize[0] > 0 && s.opened.PixelSide() == 0
}

// measure measures the instances of the picture, once for all formats.
func (s *pictureSource) measure(p *coco.LabeledImage) (*annotation.Measurements, error) {
	if s.measured == nil {
		size, err := s.sizeOfPixel()
		if err != nil {
			return nil, err
		}
		o, err := s.open()
		if err != nil {
			return nil, err
		}
		s.measured = annotation.Measure(p, size, o.channels)
	}
	return s.measured, nil
}
