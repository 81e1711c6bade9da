package coco

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"

	"github.com/diffusioninst/go/internal/nilcheck"
	"github.com/diffusioninst/go/internal/pngrepair"
)

// maxPNG bounds the pixels of masks and label maps that are read and written: 512 MiB of 16 bits.
const maxPNG = 1 << 28

// checkPNG is check for a picture whose masks are drawn: what could not be read again is not
// written.
func (p *LabeledImage) checkPNG() error {
	if err := p.check(); err != nil {
		return err
	}
	if p.Width < 0 || p.Height < 0 || float64(p.Width)*float64(p.Height) > maxPNG {
		return fmt.Errorf("coco: %s: a picture of %d×%d pixels: the limit is %d pixels", p.FileName, p.Width, p.Height, maxPNG)
	}
	return nil
}

// readPNG decodes a picture of a size that is known beforehand. A header that
// claims more pixels than the data can hold is refused before they are allocated:
// deflate shrinks at most 1032 times.
func readPNG(r io.Reader, width, height int) (image.Image, error) {
	if nilcheck.Is(r) {
		return nil, errors.New("there is nothing to read: the reader is nil")
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	c, err := png.DecodeConfig(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	if c.Width != width || c.Height != height {
		return nil, fmt.Errorf("a picture of %d×%d pixels, not %d×%d", c.Width, c.Height, width, height)
	}
	if float64(width)*float64(height) > maxPNG {
		return nil, fmt.Errorf("a picture of %d×%d pixels: the limit is %d pixels", width, height, maxPNG)
	}
	if bits := float64(width) * float64(height); bits/8 > 1032*float64(len(text)) {
		return nil, fmt.Errorf("%d bytes cannot hold %d×%d pixels", len(text), width, height)
	}
	return pngrepair.Decode(text)
}
