package jpeg

import (
	"errors"
	"fmt"
	"image"
	"io"
)

// A component is one plane of samples.
type component struct {
	id, h, v, table int
	across, down    int     // blocks that hold the picture
	stride, rows    int     // blocks that are stored: whole MCUs
	coefficients    []int16 // 64 per block, in the order of rows
	predictor       int
	dc, ac          int // tables of the scan
}

type decoder struct {
	bits          bitReader
	width, height int
	progressive   bool
	components    []*component
	quantizers    [4][64]uint16
	huffman       [2][4]*huffman
	interval      int // MCUs between restarts; 0 for none
	adobe         int // its colour transform; -1 without the marker
	jfif          bool
	run           int // blocks that are yet to be skipped: EOBRUN
}

// Config returns the size of the picture in data, from its header.
func Config(data []byte) (width, height int, err error) {
	d := &decoder{bits: bitReader{data: data}, adobe: -1}
	if err := d.markers(true); err != nil {
		return 0, 0, err
	}
	return d.width, d.height, nil
}

// Decode returns the picture in data: an *image.Gray, *image.YCbCr, *image.RGBA or
// *image.CMYK, which holds inks whether or not the file has them inverted.
func Decode(data []byte) (image.Image, error) {
	d := &decoder{bits: bitReader{data: data}, adobe: -1}
	for class, tables := range standardTables {
		copy(d.huffman[class][:], tables[:])
	}
	if err := d.markers(false); err != nil {
		return nil, err
	}
	return d.image()
}

// markers reads segments up to the end or, for the header, up to the size.
func (d *decoder) markers(header bool) error {
	b := &d.bits
	if len(b.data) < 2 || b.data[0] != 0xff || b.data[1] != 0xd8 {
		return errors.New("not a JPEG picture")
	}
	b.at = 2
	scans := false
	for {
		marker, ok := b.marker()
		if !ok {
			if scans {
				return nil // without the marker of the end
			}
			return io.ErrUnexpectedEOF
		}
		if marker == 0xd9 {
			if !scans {
				return errors.New("a JPEG without pixels")
			}
			return nil
		}
		if marker >= 0xd0 && marker <= 0xd8 || marker == 1 { // without a segment
			continue
		}
		segment, err := b.segment()
		if err != nil {
			return err
		}
		switch {
		case marker == 0xc0 || marker == 0xc1 || marker == 0xc2:
			if d.components != nil {
				return errors.New("two frames in a JPEG")
			}
			d.progressive = marker == 0xc2
			if err := d.frame(segment); err != nil || header {
				return err
			}
		case marker >= 0xc3 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc:
			return fmt.Errorf("JPEG of kind %#x (lossless, hierarchical or arithmetic) is not supported", marker)
		case marker == 0xc4:
			err = d.huffmanTables(segment)
		case marker == 0xdb:
			err = d.quantization(segment)
		case marker == 0xdd && len(segment) >= 2:
			d.interval = int(segment[0])<<8 | int(segment[1])
		case marker == 0xe0 && len(segment) >= 5 && string(segment[:5]) == "JFIF\x00":
			d.jfif = true
		case marker == 0xee && len(segment) >= 12 && string(segment[:5]) == "Adobe":
			d.adobe = int(segment[11])
		case marker == 0xda:
			if err = d.scan(segment); err == nil {
				scans = true
			}
		}
		if err != nil {
			return err
		}
	}
}

// frame reads the size and the components, and makes room for them.
func (d *decoder) frame(s []byte) error {
	if len(s) < 6 || len(s) < 6+3*int(s[5]) {
		return io.ErrUnexpectedEOF
	}
	d.height, d.width = int(s[1])<<8|int(s[2]), int(s[3])<<8|int(s[4])
	n := int(s[5])
	switch {
	case s[0] != 8:
		return fmt.Errorf("JPEG of %d bits is not supported", s[0])
	case d.width == 0 || d.height == 0:
		return fmt.Errorf("a JPEG of %d×%d pixels", d.width, d.height)
	case n < 1 || n > 4:
		return fmt.Errorf("a JPEG of %d components", n)
	}
	h, v := 1, 1
	for i := range n {
		at := s[6+3*i:]
		c := &component{id: int(at[0]), h: int(at[1] >> 4), v: int(at[1] & 15), table: int(at[2])}
		if c.h < 1 || c.h > 4 || c.v < 1 || c.v > 4 || c.table > 3 {
			return errors.New("a component with wrong sampling factors")
		}
		h, v = max(h, c.h), max(v, c.v)
		d.components = append(d.components, c)
	}
	mcusX, mcusY := (d.width+8*h-1)/(8*h), (d.height+8*v-1)/(8*v)
	for _, c := range d.components {
		c.across, c.down = ((d.width*c.h+h-1)/h+7)/8, ((d.height*c.v+v-1)/v+7)/8
		c.stride, c.rows = mcusX*c.h, mcusY*c.v
		// A block takes a bit at least.
		if c.across*c.down > 8*len(d.bits.data) {
			return io.ErrUnexpectedEOF
		}
	}
	return nil
}

// block returns the coefficients of a block.
func (c *component) block(x, y int) []int16 {
	if c.coefficients == nil {
		c.coefficients = make([]int16, 64*c.stride*c.rows)
	}
	return c.coefficients[64*(y*c.stride+x):][:64:64]
}

func (d *decoder) quantization(s []byte) error {
	for len(s) > 0 {
		wide, id := s[0]>>4, s[0]&15
		size := 64 << min(wide, 1)
		if id > 3 || wide > 1 {
			return errors.New("a wrong quantization table")
		}
		if len(s) < 1+size {
			return io.ErrUnexpectedEOF
		}
		for i := range 64 {
			if wide == 1 {
				d.quantizers[id][zigzag[i]] = uint16(s[1+2*i])<<8 | uint16(s[2+2*i])
			} else {
				d.quantizers[id][zigzag[i]] = uint16(s[1+i])
			}
		}
		s = s[1+size:]
	}
	return nil
}

// zigzag maps the order in the file to the order of rows.
var zigzag = [64]uint8{
	0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
	35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
}
