package picture

import (
	"encoding/binary"

	"github.com/diffusioninst/go/internal/tiff"
)

// tga is the header of a Truevision TGA file, which has no mark at its start.
type tga struct {
	id, kind              int // length of the comment; 1 palette, 2 colours, 3 grey
	runs                  bool
	first, colours, entry int // of the palette: its first index, length and bits per entry
	width, height, depth  int
	turn                  turning
}

func isTGA(h []byte) bool { _, ok := tgaHeader(h); return ok }

func tgaHeader(h []byte) (tga, bool) {
	if len(h) < 18 {
		return tga{}, false
	}
	word := func(at int) int { return int(binary.LittleEndian.Uint16(h[at:])) }
	t := tga{
		id: int(h[0]), kind: int(h[2]) &^ 8, runs: h[2]&8 != 0, first: word(3), colours: word(5), entry: int(h[7]),
		width: word(12), height: word(14), depth: int(h[16]),
		// Rows start at the bottom unless bit 5 is set, and on the right if bit 4 is.
		turn: [4]turning{4, 3, 1, 2}[h[17]>>4&3],
	}
	ok := h[2] < 12 && h[17]&0xc0 == 0 && t.width > 0 && t.height > 0
	hasPalette := h[1] == 1
	switch t.kind {
	case 1:
		ok = ok && hasPalette && t.depth == 8 && (t.entry == 15 || t.entry == 16 || t.entry == 24 || t.entry == 32) && t.colours > 0 && t.first+t.colours <= 1<<16
	case 2:
		ok = ok && h[1] <= 1 && (t.depth == 15 || t.depth == 16 || t.depth == 24 || t.depth == 32)
	case 3:
		ok = ok && h[1] == 0 && (t.depth == 8 || t.depth == 16 || t.depth == 1 && !t.runs)
	default:
		ok = false
	}
	if !hasPalette {
		ok = ok && t.colours == 0 && t.entry == 0 && t.first == 0
	}
	return t, ok
}

// decodeTGA reads TGA pictures of a palette, of colours, and grey ones, with and without runs.
func decodeTGA(data []byte, o Options) (*decoded, error) {
	t, _ := tgaHeader(data)
	if t.depth == 1 {
		return t.bitmap(data, o)
	}
	size := (t.depth + 7) / 8
	least := 8 * size
	if t.runs {
		least /= 128 // a run of 128 pixels has one pixel and a byte
	}
	n, err := o.pixels(t.width, t.height, 1, least, len(data))
	if err != nil {
		return nil, err
	}
	cut := errCut()
	table := (t.entry + 7) / 8 * t.colours
	if len(data) < 18+t.id+table {
		return nil, cut
	}
	palette, src := data[18+t.id:][:table], data[18+t.id+table:]
	if t.kind != 1 {
		palette = nil
	}
	d := &decoded{Raster: &tiff.Raster{Width: t.width, Height: t.height, Samples: 3}, bits: 8, turn: t.turn}
	if t.kind == 3 {
		d.Samples = 1
	}
	put := func(pixel []byte) {
		switch t.kind {
		case 1:
			var c [3]uint8 // black beyond the palette
			if i, w := int(pixel[0])-t.first, (t.entry+7)/8; i >= 0 && i < t.colours {
				c = tgaColour(palette[i*w:][:w])
			}
			d.U8 = append(d.U8, c[:]...)
		case 2:
			c := tgaColour(pixel)
			d.U8 = append(d.U8, c[:]...)
		default:
			d.U8 = append(d.U8, pixel[0])
		}
	}
	for done := 0; done < n; {
		count, repeat := n, false
		if t.runs {
			if len(src) == 0 {
				return nil, cut
			}
			count, repeat = min(int(src[0]&0x7f)+1, n-done), src[0]&0x80 != 0
			src = src[1:]
		}
		for i := range count {
			if len(src) < size {
				return nil, cut
			}
			put(src[:size])
			if !repeat || i == count-1 {
				src = src[size:]
			}
		}
		done += count
	}
	return d, nil
}

// bitmap reads black and white pixels, of which Pillow writes eight to a byte.
func (t *tga) bitmap(data []byte, o Options) (*decoded, error) {
	n, err := o.pixels(t.width, t.height, 1, 1, len(data))
	if err != nil {
		return nil, err
	}
	stride := (t.width + 7) / 8
	if len(data) < 18+t.id+stride*t.height {
		return nil, errCut()
	}
	d := &decoded{Raster: &tiff.Raster{Width: t.width, Height: t.height, Samples: 1, U8: make([]uint8, 0, n)}, bits: 1, turn: t.turn}
	for y := range t.height {
		row := data[18+t.id+y*stride:]
		for x := range t.width {
			d.U8 = append(d.U8, -(row[x/8] >> (7 - x%8) & 1))
		}
	}
	return d, nil
}

// tgaColour returns red, green and blue of a pixel of 16, 24 or 32 bits, without alpha.
func tgaColour(p []byte) [3]uint8 {
	if len(p) > 2 {
		return [3]uint8{p[2], p[1], p[0]}
	}
	v := int(binary.LittleEndian.Uint16(p))
	level := func(five int) uint8 { return uint8(five & 31 * 255 / 31) }
	return [3]uint8{level(v >> 10), level(v >> 5), level(v)}
}
