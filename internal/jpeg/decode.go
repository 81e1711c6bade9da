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
	across, down    int           // blocks that hold the picture
	stride, rows    int           // blocks that are stored: whole MCUs
	coefficients    [][][64]int16 // by row of blocks: nil if not read
	dequantizer     *dequantizer
	pix             []uint8 // samples, 8·stride per row
	// Of the scan:
	predictor int
	dc, ac    *huffman
}

type decoder struct {
	data          []byte
	at            int
	bits          bitReader
	width, height int
	progressive   bool
	components    []*component
	quantizers    [4]*[64]uint16
	huffman       [2][4]*huffman
	interval      int // MCUs between restarts; 0 for none
	adobe         int // its colour transform; -1 without the marker
	jfif          bool
}

// A Header says how large a picture is, and how many components its pixels have: 1, 3 or 4.
type Header struct{ Width, Height, Components int }

// ReadHeader returns the header of the picture in data.
func ReadHeader(data []byte) (Header, error) {
	d := &decoder{data: data, adobe: -1}
	if err := d.header(); err != nil {
		return Header{}, err
	}
	return Header{d.width, d.height, len(d.components)}, nil
}

// Decode returns the picture in data: an *image.Gray, *image.YCbCr, *image.RGBA, *image.CMYK,
// or [*YCCK]. Inks are 0 where there are none; in the file they are inverted.
func Decode(data []byte) (image.Image, error) {
	return decode(data, func(image.Image, int, int) {})
}

// DecodeRows decodes as Decode does and calls done with rows from, …, to−1 of the picture as soon
// as they are there, and with them the chroma of the rows around. Each row is handed over once,
// in any order and in several goroutines; done must not look at other rows. Later calls may be
// of another picture, with room for more rows. The rows are of use only if there is no error
// in the end.
func DecodeRows(data []byte, done func(img image.Image, from, to int)) error {
	_, err := decode(data, done)
	return err
}

func decode(data []byte, done func(img image.Image, from, to int)) (image.Image, error) {
	d := &decoder{data: data, adobe: -1}
	for class, tables := range standardTables {
		copy(d.huffman[class][:], tables[:])
	}
	if err := d.header(); err != nil {
		return nil, err
	}
	return d.scans(done)
}

// marker finds the next marker.
func (d *decoder) marker() (byte, bool) {
	for ; d.at+1 < len(d.data); d.at++ {
		if m := d.data[d.at+1]; d.data[d.at] == 0xff && m != 0 && m != 0xff {
			d.at += 2
			return m, true
		}
	}
	return 0, false
}

// segment finds the next marker that has a segment, or the end of the picture.
func (d *decoder) segment() (marker byte, segment []byte, err error) {
	for {
		marker, ok := d.marker()
		switch {
		case !ok:
			return 0, nil, io.ErrUnexpectedEOF
		case marker == 0xd9:
			return marker, nil, nil
		case marker >= 0xd0 && marker <= 0xd8 || marker == 1: // without a segment
			continue
		}
		rest := d.data[d.at:]
		if len(rest) < 2 {
			return 0, nil, io.ErrUnexpectedEOF
		}
		n := int(rest[0])<<8 | int(rest[1])
		if n < 2 || n > len(rest) {
			return 0, nil, io.ErrUnexpectedEOF
		}
		d.at += n
		return marker, rest[2:n], nil
	}
}

// header reads segments up to the size.
func (d *decoder) header() error {
	if len(d.data) < 2 || d.data[0] != 0xff || d.data[1] != 0xd8 {
		return errors.New("not a JPEG picture")
	}
	d.at = 2
	for d.components == nil {
		marker, segment, err := d.segment()
		if err == nil {
			err = d.read(marker, segment)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// maxScans bounds the time that a file takes: a scan of a few bytes goes through all blocks. Encoders write
// about ten, and a bit of a coefficient at a time would be 896 for each component.
const maxScans = 1000

// scans reads the segments behind the header, and the samples.
func (d *decoder) scans(done func(img image.Image, from, to int)) (image.Image, error) {
	var r *rows
	for scans := 0; ; {
		marker, segment, err := d.segment()
		switch {
		case err != nil:
			return nil, err
		case marker == 0xd9:
			if r == nil {
				return nil, errors.New("a JPEG without pixels")
			}
			return r.rest(), nil
		case marker != 0xda:
			if err := d.read(marker, segment); err != nil {
				return nil, err
			}
			continue
		}
		d.at += d.bits.load(d.data[d.at:])
		if r != nil && r.streamed { // whatever follows the only scan
			continue
		}
		if scans++; scans > maxScans {
			return nil, fmt.Errorf("a JPEG of more than %d scans", maxScans)
		}
		s, err := d.scan(segment)
		if err != nil {
			return nil, err
		}
		if r == nil {
			r = d.rows(done)
		}
		if !d.progressive && len(s.components) == len(d.components) {
			err = r.stream(s)
		} else {
			err = s.read()
		}
		if err != nil {
			return nil, err
		}
	}
}

// read reads a segment other than that of a scan.
func (d *decoder) read(marker byte, s []byte) error {
	switch {
	case marker == 0xd9, marker == 0xda:
		return errors.New("a JPEG without a frame")
	case marker == 0xc0 || marker == 0xc1 || marker == 0xc2:
		if d.components != nil {
			return errors.New("two frames in a JPEG")
		}
		d.progressive = marker == 0xc2
		return d.frame(s)
	case marker >= 0xc3 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc:
		return fmt.Errorf("%s JPEG (frame %#x) is not supported: save it as PNG, or as TIFF with LZW or deflate", kinds[marker], marker)
	case marker == 0xc4:
		return d.huffmanTables(s)
	case marker == 0xdb:
		return d.quantization(s)
	case marker == 0xdd && len(s) >= 2:
		d.interval = int(s[0])<<8 | int(s[1])
	case marker == 0xe0 && len(s) >= 5 && string(s[:5]) == "JFIF\x00":
		d.jfif = true
	case marker == 0xee && len(s) >= 12 && string(s[:5]) == "Adobe":
		d.adobe = int(s[11])
	}
	return nil
}

// kinds are the frames that are not decoded (ITU-T T.81, table B.1).
var kinds = map[byte]string{
	0xc3: "lossless", 0xc5: "hierarchical", 0xc6: "hierarchical", 0xc7: "lossless hierarchical", 0xc9: "arithmetic-coded", 0xca: "arithmetic-coded",
	0xcb: "lossless", 0xcd: "hierarchical", 0xce: "hierarchical", 0xcf: "lossless hierarchical",
}

// frame reads the size and the components.
func (d *decoder) frame(s []byte) error {
	if len(s) < 6 || len(s) < 6+3*int(s[5]) {
		return io.ErrUnexpectedEOF
	}
	d.height, d.width = int(s[1])<<8|int(s[2]), int(s[3])<<8|int(s[4])
	n := int(s[5])
	switch {
	case s[0] != 8:
		return fmt.Errorf("a JPEG of %d bits is not supported: save it as PNG or TIFF", s[0])
	case d.width == 0 || d.height == 0:
		return fmt.Errorf("a JPEG of %d×%d pixels", d.width, d.height)
	case n != 1 && n != 3 && n != 4:
		return fmt.Errorf("a JPEG of %d components is not supported: save it as PNG, or as TIFF with LZW or deflate", n)
	}
	h, v := 1, 1
	for i := range n {
		at := s[6+3*i:]
		c := &component{id: int(at[0]), h: int(at[1] >> 4), v: int(at[1] & 15), table: int(at[2])}
		if c.h < 1 || c.h > 4 || c.v < 1 || c.v > 4 || c.table > 3 {
			return errors.New("a component with wrong sampling factors")
		}
		if n == 1 { // its MCU is a block whatever the factors
			c.h, c.v = 1, 1
		}
		h, v = max(h, c.h), max(v, c.v)
		d.components = append(d.components, c)
	}
	mcusX, mcusY := (d.width+8*h-1)/(8*h), (d.height+8*v-1)/(8*v)
	for _, c := range d.components {
		c.across, c.down = ((d.width*c.h+h-1)/h+7)/8, ((d.height*c.v+v-1)/v+7)/8
		c.stride, c.rows = mcusX*c.h, mcusY*c.v
		// A block takes a bit at least.
		if c.across*c.down > 8*len(d.data) {
			return io.ErrUnexpectedEOF
		}
	}
	return nil
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
		q := &[64]uint16{}
		for i := range q {
			if wide == 1 {
				q[i] = uint16(s[1+2*i])<<8 | uint16(s[2+2*i])
			} else {
				q[i] = uint16(s[1+i])
			}
		}
		d.quantizers[id] = q
		s = s[1+size:]
	}
	return nil
}

// zigzag maps the order in the file to the order of rows.
var zigzag = [64]uint8{
	0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
	35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
}
