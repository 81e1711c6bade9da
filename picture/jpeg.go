package picture

import (
	"bytes"
	"image"
	"io"
	"sync"

	"github.com/diffusioninst/go/internal/jpeg"
)

// isJPEG reports whether the first bytes are a JPEG picture's.
func (s *seekable) isJPEG() bool {
	var head [2]byte
	_, err := io.ReadFull(s, head[:])
	return s.rewind() == nil && err == nil && head == [2]byte{0xff, 0xd8}
}

// jpeg reads a JPEG picture. Its rows are brought to colours and turned while others are decoded.
func (s *seekable) jpeg(o Options) (*Picture, error) {
	data, err := s.all()
	if err != nil {
		return nil, err
	}
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
	drawn := drawing{turn: orientation(bytes.NewReader(data), "jpeg"), size: image.Pt(header.Width, header.Height)}
	if err := jpeg.DecodeRows(data, drawn.rows); err != nil {
		return nil, decodeError(err, false)
	}
	p.Image = drawn.out
	if chosen != nil {
		p.Image = imageOf(selectChannels(rasterOf(drawn.out), chosen))
	}
	return p, nil
}

// A drawing is a picture that is drawn row by row. It has room when an eighth of its rows is
// there, so that a header that claims what does not come costs little.
type drawing struct {
	turn turning
	size image.Point // as stored

	mu      sync.Mutex
	held    int      // rows that are there
	waiting [][2]int // those that are not drawn
	out     *image.RGBA
}

func (d *drawing) rows(img image.Image, from, to int) {
	for _, rows := range d.ready(from, to) {
		d.turn.draw(rgbaRowsOf(img, false), img.Bounds(), img.Bounds(), rows[0], rows[1], d.out)
	}
}

// ready returns the rows to draw when some more are there.
func (d *drawing) ready(from, to int) [][2]int {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.held += to - from
	d.waiting = append(d.waiting, [2]int{from, to})
	if d.held < d.size.Y/8 {
		return nil
	}
	if d.out == nil {
		d.out = d.turn.canvas(d.size.X, d.size.Y)
	}
	ready := d.waiting
	d.waiting = nil
	return ready
}
