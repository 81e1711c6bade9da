package picture

import (
	"encoding/binary"
	"strings"

	"github.com/diffusioninst/go/internal/tiff"
)

func isQOI(h []byte) bool { return strings.HasPrefix(string(h), "qoif") }

// decodeQOI reads QOI pictures (qoiformat.org), without their alpha.
func decodeQOI(data []byte, o Options) (*decoded, error) {
	cut := errCut()
	if len(data) < 14 {
		return nil, cut
	}
	width, height := binary.BigEndian.Uint32(data[4:]), binary.BigEndian.Uint32(data[8:])
	// A byte has up to 62 pixels.
	n, err := o.pixels(int(min(width, 1<<31-1)), int(min(height, 1<<31-1)), 1, 0, len(data))
	if err != nil {
		return nil, err
	}
	src := data[14:]
	if n/62 > len(src) {
		return nil, cut
	}
	d := &decoded{Raster: &tiff.Raster{Width: int(width), Height: int(height), Samples: 3}, bits: 8}
	var seen [64][4]uint8
	p := [4]uint8{3: 255}
	for done := 0; done < n; {
		if len(src) == 0 {
			return nil, cut
		}
		b, count, size := src[0], 1, 1
		switch {
		case b == 0xff:
			size = 5
		case b == 0xfe:
			size = 4
		case b>>6 == 2:
			size = 2
		}
		if len(src) < size {
			return nil, cut
		}
		switch {
		case size > 2:
			copy(p[:], src[1:size])
		case b>>6 == 0:
			p = seen[b]
		case b>>6 == 1:
			p[0], p[1], p[2] = p[0]+b>>4&3-2, p[1]+b>>2&3-2, p[2]+b&3-2
		case b>>6 == 2:
			green := b&63 - 32
			p[0], p[1], p[2] = p[0]+green+src[1]>>4-8, p[1]+green, p[2]+green+src[1]&15-8
		default:
			count = int(b&63) + 1
		}
		seen[(p[0]*3+p[1]*5+p[2]*7+p[3]*11)%64] = p
		src = src[size:]
		for count = min(count, n-done); count > 0; count-- {
			d.U8 = append(d.U8, p[0], p[1], p[2])
			done++
		}
	}
	return d, nil
}
