package picture

import (
	"encoding/binary"

	"github.com/diffusioninst/go/internal/tiff"
)

func isPCX(h []byte) bool {
	return len(h) >= 128 && h[0] == 10 && (h[1] == 0 || h[1] >= 2 && h[1] <= 5) && h[2] <= 1 && (h[3] == 1 || h[3] == 2 || h[3] == 4 || h[3] == 8)
}

// decodePCX reads PCX: bitmaps, palettes of up to 256 colours, grey, and red, green and blue.
func decodePCX(data []byte, o Options) (*decoded, error) {
	word := func(at int) int { return int(binary.LittleEndian.Uint16(data[at:])) }
	bits, planes, stride := int(data[3]), int(data[65]), word(66)
	width, height := word(8)-word(4)+1, word(10)-word(6)+1
	// A run of two bytes has up to 63 of a row.
	if _, err := o.pixels(width, height, 1, 0, len(data)); err != nil {
		return nil, err
	}
	full := stride * planes
	switch {
	case !(bits == 1 && planes >= 1 && planes <= 4) && !(bits == 8 && (planes == 1 || planes == 3)) && !(planes == 1 && (bits == 2 || bits == 4)):
		return nil, corrupt("a PCX picture of %d planes of %d bits: save it as PNG", planes, bits)
	case stride < (width*bits+7)/8:
		return nil, corrupt("rows of %d bytes for %d pixels", stride, width)
	case float64(full)*float64(height) > 32*float64(len(data)):
		return nil, errCut()
	}
	rows, row := pcxRows{src: data[128:], runs: data[2] == 1}, make([]byte, full)
	palette := pcxPalette(data, bits, planes)
	d := &decoded{Raster: &tiff.Raster{Width: width, Height: height, Samples: 3}, bits: 8}
	if palette == nil && planes == 1 {
		d.Samples = 1
	}
	for range height {
		if !rows.next(row) {
			return nil, errCut()
		}
		for x := range width {
			if bits == 8 && planes == 3 {
				d.U8 = append(d.U8, row[x], row[stride+x], row[2*stride+x])
				continue
			}
			index := 0
			for p := range planes {
				v := row[p*stride+x*bits/8] >> (8 - bits - x*bits%8) & (1<<bits - 1)
				index |= int(v) << p
			}
			switch {
			case palette != nil:
				d.U8 = append(d.U8, palette[3*index:][:3]...)
			case bits == 1:
				d.U8 = append(d.U8, uint8(255*index))
			default:
				d.U8 = append(d.U8, uint8(index))
			}
		}
	}
	return d, nil
}

// pcxRows expands runs, which may go on in the next row.
type pcxRows struct {
	src   []byte
	runs  bool
	value byte
	left  int // of the run
}

// next fills a row, and reports whether there is one.
func (p *pcxRows) next(row []byte) bool {
	if !p.runs {
		n := copy(row, p.src)
		p.src = p.src[n:]
		return n == len(row)
	}
	for i := range row {
		for p.left == 0 {
			if len(p.src) == 0 {
				return false
			}
			p.value, p.left = p.src[0], 1
			if p.src = p.src[1:]; p.value >= 0xc0 {
				if len(p.src) == 0 {
					return false
				}
				p.left, p.value, p.src = int(p.value&0x3f), p.src[0], p.src[1:]
			}
		}
		row[i] = p.value
		p.left--
	}
	return true
}

// pcxPalette returns the colours of a picture of indices: nil if its values are grey.
func pcxPalette(data []byte, bits, planes int) []byte {
	switch {
	case bits == 8 && planes == 1:
		if n := len(data) - 769; n >= 128 && data[n] == 12 {
			return data[n+1:]
		}
		return nil
	case bits == 1 && planes == 1, bits == 8:
		return nil
	}
	return data[16:64]
}
