package picture

import (
	"encoding/binary"

	"github.com/diffusioninst/go/internal/tiff"
)

func isSGI(h []byte) bool {
	return len(h) >= 128 && h[0] == 1 && h[1] == 0xda && h[2] <= 1 && (h[3] == 1 || h[3] == 2)
}

// decodeSGI reads SGI pictures: grey or colours of 8 or 16 bits, with and without runs. Alpha is
// left out.
func decodeSGI(data []byte, o Options) (*decoded, error) {
	const start = 512
	cut := errCut()
	word := func(at int) int { return int(binary.BigEndian.Uint16(data[at:])) }
	runs, size := data[2] == 1, int(data[3])
	width, height, planes := word(6), word(8), word(10)
	switch word(4) { // dimensions: those beyond are not set
	case 1:
		height, planes = 1, 1
	case 2:
		planes = 1
	}
	if len(data) < start {
		return nil, cut
	}
	if planes < 1 || planes > 4 {
		return nil, corrupt("an SGI picture of %d channels", planes)
	}
	least := 8 * size * planes
	if runs {
		least = 0 // each row has at least its place
	}
	n, err := o.pixels(width, height, 1, least, len(data)-start)
	if err != nil {
		return nil, err
	}
	if runs && len(data) < start+8*height*planes {
		return nil, cut
	}
	kept := 3
	if planes < 3 {
		kept = 1
	}
	d := &decoded{Raster: &tiff.Raster{Width: width, Height: height, Samples: kept}, bits: 8 * size, turn: 4} // rows start at the bottom
	row := make([]byte, 0, width*size)
	for y := range height {
		for c := range kept {
			src := data[start:]
			if !runs {
				src = src[min((c*height+y)*width*size, len(src)):]
				row = append(row[:0], src[:min(width*size, len(src))]...)
			} else {
				at, table := int(binary.BigEndian.Uint32(src[4*(c*height+y):])), src[4*height*planes:]
				length := int(binary.BigEndian.Uint32(table[4*(c*height+y):]))
				if at > len(data) || length > len(data)-at {
					return nil, cut
				}
				row = sgiRow(row[:0], data[at:][:length], width*size, size)
			}
			if len(row) < width*size {
				return nil, cut
			}
			if size == 1 {
				d.U8 = sgiPut(d.U8, n*kept, kept, (y*width)*kept+c, width, func(x int) uint8 { return row[x] })
			} else {
				d.U16 = sgiPut(d.U16, n*kept, kept, (y*width)*kept+c, width, func(x int) uint16 { return binary.BigEndian.Uint16(row[2*x:]) })
			}
		}
	}
	return d, nil
}

// sgiPut writes a row of one channel. Rows get room as they come.
func sgiPut[T any](out []T, all, step, at, width int, value func(x int) T) []T {
	if need := at - at%step + width*step; need > len(out) {
		if need > cap(out) {
			out = append(make([]T, 0, min(all, max(need, 2*cap(out)))), out...)
		}
		out = out[:need]
	}
	for x := range width {
		out[at+x*step] = value(x)
	}
	return out
}

// sgiRow expands runs of numbers of one or two bytes up to n bytes.
func sgiRow(out, src []byte, n, size int) []byte {
	for len(src) >= size && len(out) < n {
		count, copied := int(src[size-1]&0x7f)*size, src[size-1]&0x80 != 0
		src = src[size:]
		switch {
		case count == 0:
			return out
		case copied:
			count = min(count, len(src), n-len(out))
			out, src = append(out, src[:count]...), src[count:]
		case len(src) >= size:
			for ; count > 0 && len(out) < n; count -= size {
				out = append(out, src[:size]...)
			}
			src = src[size:]
		}
	}
	return out
}
