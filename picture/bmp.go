package picture

import (
	"bytes"
	"encoding/binary"
	"math/bits"

	"github.com/diffusioninst/go/internal/tiff"
)

// bitmap is the header of a Windows or OS/2 bitmap.
type bitmap struct {
	width, height, depth int
	top                  bool // whether the first row is the top one
	compression          int  // 0 none, 1 and 2 runs of 8 and 4 bits, 3 and 6 masks
	masks                [3]uint32
	palette              []byte
	entry                int // bytes of a colour of the palette
	pixels               []byte
}

// decodeBMP reads the bitmaps that package bmp refuses, too: of 1, 4 and 16 bits, with runs,
// masks, and headers of OS/2.
func decodeBMP(data []byte, o Options) (*decoded, error) {
	h, err := bmpHeader(data)
	if err != nil {
		return nil, err
	}
	stride := (h.width*h.depth + 31) / 32 * 4
	least := h.depth
	if h.compression == 1 || h.compression == 2 {
		least = 0
	}
	n, err := o.pixels(h.width, h.height, 1, least, len(h.pixels))
	if err != nil {
		return nil, err
	}
	d := &decoded{Raster: &tiff.Raster{Width: h.width, Height: h.height, Samples: 3}, bits: 8}
	if !h.top {
		d.turn = 4 // rows start at the bottom
	}
	colours := h.colours()
	if least == 0 {
		// What is left out has the first colour. A run has up to 255 pixels in 2 bytes.
		if n > 1<<20 && float64(n) > 128*float64(len(h.pixels)) {
			return nil, errCut()
		}
		indices := h.runs(n)
		d.U8 = make([]uint8, 0, 3*n)
		for _, v := range indices {
			d.U8 = append(d.U8, colours[v][:]...)
		}
		return d, nil
	}
	if len(h.pixels) < stride*(h.height-1)+(h.width*h.depth+7)/8 {
		return nil, errCut()
	}
	d.U8 = make([]uint8, 0, 3*n)
	for y := range h.height {
		row := h.pixels[y*stride:]
		for x := range h.width {
			var c [3]uint8
			switch h.depth {
			case 16:
				c = h.masked(uint32(binary.LittleEndian.Uint16(row[2*x:])))
			case 24:
				c = [3]uint8{row[3*x+2], row[3*x+1], row[3*x]}
			case 32:
				c = h.masked(binary.LittleEndian.Uint32(row[4*x:]))
			default:
				c = colours[row[x*h.depth/8]>>(8-h.depth-x*h.depth%8)&(1<<h.depth-1)]
			}
			d.U8 = append(d.U8, c[:]...)
		}
	}
	return d, nil
}

func bmpHeader(data []byte) (*bitmap, error) {
	if len(data) < 26 {
		return nil, &Error{Kind: ErrTruncated, Reason: "the header ends too early"}
	}
	word := func(at int) int { return int(binary.LittleEndian.Uint16(data[at:])) }
	long := func(at int) int { return int(int32(binary.LittleEndian.Uint32(data[at:]))) }
	at, size := long(10), long(14)
	h := &bitmap{entry: 4}
	end := 14 + size // of the header, and of the masks behind it
	switch {
	case size == 12:
		h.width, h.height, h.depth, h.entry = word(18), word(20), word(24), 3
	case size < 16 || size > 1<<10 || len(data) < end:
		return nil, corrupt("a bitmap whose header has %d bytes", size)
	default:
		h.width, h.height, h.depth = long(18), long(22), word(28)
		if size >= 40 || size > 16 && len(data) >= 34 {
			h.compression = long(30)
		}
	}
	if h.height < 0 {
		h.height, h.top = -h.height, true
	}
	h.masks = [3]uint32{0x7c00, 0x3e0, 0x1f}
	if h.depth == 32 {
		h.masks = [3]uint32{0xff0000, 0xff00, 0xff}
	}
	if h.compression == 3 || h.compression == 6 {
		masks := 54 // behind the header, or in a longer one
		if size == 40 {
			end += 4 * h.compression
		}
		if len(data) < masks+12 {
			return nil, &Error{Kind: ErrTruncated, Reason: "the header ends too early"}
		}
		for k := range 3 {
			h.masks[k] = binary.LittleEndian.Uint32(data[masks+4*k:])
		}
	}
	ok := h.depth == 1 || h.depth == 2 || h.depth == 4 || h.depth == 8 || h.depth == 16 || h.depth == 24 || h.depth == 32
	runs := h.compression == 1 && h.depth == 8 || h.compression == 2 && h.depth == 4
	masks := (h.compression == 3 || h.compression == 6) && (h.depth == 16 || h.depth == 32)
	if !ok || h.compression != 0 && !runs && !masks || size == 12 && h.compression != 0 || runs && h.top {
		return nil, corrupt("a bitmap of %d bits with compression %d: save it as PNG", h.depth, h.compression)
	}
	if at < end || at > len(data) {
		return nil, corrupt("a bitmap whose pixels begin at byte %d", at)
	}
	if h.depth <= 8 {
		h.palette = data[end:at]
	}
	h.pixels = data[at:]
	return h, nil
}

// colours returns the palette: black beyond its end.
func (h *bitmap) colours() (out [256][3]uint8) {
	for i := 0; i < 256 && h.entry*(i+1) <= len(h.palette); i++ {
		c := h.palette[h.entry*i:]
		out[i] = [3]uint8{c[2], c[1], c[0]}
	}
	return out
}

// masked takes red, green and blue out of a number.
func (h *bitmap) masked(v uint32) (c [3]uint8) {
	for k, m := range h.masks {
		if m != 0 {
			shift := bits.TrailingZeros32(m)
			c[k] = uint8(uint64(v&m>>shift) * 255 / uint64(m>>shift))
		}
	}
	return c
}

// runs expands runs of indices to n of them. Jumps leave pixels at the first colour.
func (h *bitmap) runs(n int) []uint8 {
	out := make([]uint8, n)
	at, src := 0, h.pixels
	put := func(v uint8) {
		if at < n {
			out[at] = v
			at++
		}
	}
	index := func(b byte, i int) uint8 {
		switch {
		case h.depth == 8:
			return b
		case i%2 == 0:
			return b >> 4
		}
		return b & 15
	}
	for len(src) >= 2 && at < n {
		count, v := int(src[0]), src[1]
		src = src[2:]
		switch {
		case count > 0:
			for i := range count {
				put(index(v, i))
			}
		case v == 0: // end of the row
			if at%h.width != 0 {
				at += h.width - at%h.width
			}
		case v == 1:
			return out
		case v == 2:
			if len(src) < 2 {
				return out
			}
			at += int(src[0]) + int(src[1])*h.width
			src = src[2:]
		default: // pixels without a run, padded to two bytes
			size := (int(v)*h.depth + 7) / 8
			if len(src) < size {
				return out
			}
			for i := range int(v) {
				put(index(src[i*h.depth/8], i))
			}
			src = src[min(size+size%2, len(src)):]
		}
	}
	return out
}

// isBMP reports whether a file begins as a bitmap.
func isBMP(header []byte) bool { return bytes.HasPrefix(header, []byte("BM")) }
