package picture

import (
	"bytes"
	"image"
	"io"

	"github.com/diffusioninst/go/internal/jpeg"
)

// isJPEG reports whether the first bytes are those of a JPEG picture.
func (s *seekable) isJPEG() bool {
	var head [2]byte
	_, err := io.ReadFull(s, head[:])
	return s.rewind() == nil && err == nil && head == [2]byte{0xff, 0xd8}
}

// jpeg reads a JPEG picture. Its rows are brought to colours and turned while others are decoded.
func (s *seekable) jpeg(o Options) (*Picture, error) {
	file := bytes.NewBuffer(make([]byte, 0, s.size+bytes.MinRead))
	if _, err := file.ReadFrom(s); err != nil {
		return nil, readError(err)
	}
	data := file.Bytes()
	header, err := jpeg.ReadHeader(data)
	if err != nil {
		return nil, decodeError(err, false)
	}
	if err := o.check(image.Config{Width: header.Width, Height: header.Height}); err != nil {
		return nil, err
	}
	p := &Picture{Format: "jpeg", Bits: 8, Pages: 1, Page: 1, Channels: colourNames}
	if header.Components == 1 {
		p.Channels = greyNames
	}
	chosen, err := pickChannels(p.Channels, o.Channels)
	if err != nil {
		return nil, err
	}
	turn := orientation(bytes.NewReader(data), "jpeg")
	out := turn.canvas(header.Width, header.Height)
	err = jpeg.DecodeRows(data, func(img image.Image, from, to int) {
		turn.draw(rgbaRowsOf(img, false), img.Bounds(), img.Bounds(), from, to, out)
	})
	if err != nil {
		return nil, decodeError(err, false)
	}
	p.Image = out
	if chosen != nil {
		p.Image = imageOf(selectChannels(rasterOf(out), chosen))
	}
	return p, nil
}
