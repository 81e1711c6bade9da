package picture

import (
	"errors"
	"fmt"
	"image"
	"io"

	"github.com/diffusioninst/go/internal/tiff"
)

// A decoded is what the decoders of this package, which package image does not know, give.
type decoded struct {
	*tiff.Raster
	bits  int // of a sample in the file
	alpha bool
	turn  turning
	rest  int // bytes behind the picture
}

// A plainFormat is a format of few features that is read from memory.
type plainFormat struct {
	name   string
	is     func(header []byte) bool
	decode func(data []byte, o Options) (*decoded, error)
}

// plainFormats are in the order in which they are tried. TGA, which has no mark, is the last.
var plainFormats = []plainFormat{
	{"pnm", isPNM, decodePNM},
	{"bmp", isBMP, decodeBMP},
	{"pcx", isPCX, decodePCX},
	{"sgi", isSGI, decodeSGI},
	{"qoi", isQOI, decodeQOI},
	{"ico", isICO, decodeICO},
	{"dib", isDIB, decodeDIB},
	{"tga", isTGA, decodeTGA},
}

// plain reads a picture of one of the plainFormats, and returns nil if it is of none.
func (s *seekable) plain(o Options) (*Picture, error) {
	header := make([]byte, 128)
	n, err := io.ReadFull(s, header)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, readError(err)
	}
	if err := s.rewind(); err != nil {
		return nil, err
	}
	for _, f := range plainFormats {
		if !f.is(header[:n]) {
			continue
		}
		data, err := s.all()
		if err != nil {
			return nil, err
		}
		d, err := f.decode(data, o)
		if err != nil {
			return nil, decodeError(err, false)
		}
		return d.picture(f.name, o)
	}
	return nil, nil
}

func (d *decoded) picture(format string, o Options) (*Picture, error) {
	p := &Picture{Format: format, Bits: d.bits, Pages: 1, Page: 1, Channels: colourNames}
	if d.Samples == 1 {
		p.Channels = greyNames
	}
	if d.rest > 0 {
		p.note("another picture follows in the file, and the first was taken: Stream reads all")
	}
	chosen, err := pickChannels(p.Channels, o.Channels)
	if err != nil {
		return nil, err
	}
	r := d.Raster
	if d.Samples == 1 && chosen != nil {
		chosen = make([]int, len(chosen))
	}
	p.Image = imageOf(d.turn.turned(selectChannels(r, chosen)))
	return p, nil
}

// pixels returns the number of samples of a picture, if it is not too large and has at least
// so many bits in the file per pixel.
func (o Options) pixels(width, height, samples, bits, bytes int) (int, error) {
	if err := o.check(image.Config{Width: width, Height: height}); err != nil {
		return 0, err
	}
	if float64(width)*float64(height)*float64(bits)/8 > float64(bytes)+1 {
		return 0, &Error{Kind: ErrTruncated, Reason: fmt.Sprintf("%d bytes are too few for %d×%d pixels", bytes, width, height)}
	}
	return width * height * samples, nil
}

func corrupt(format string, args ...any) error {
	return &Error{Kind: ErrCorrupt, Reason: fmt.Sprintf(format, args...)}
}
