package picture

import (
	"bufio"
	"encoding/binary"
	"image"
	"image/color"
	"io"
	"slices"
)

// gifFrame returns the first frame of a GIF on its canvas as PIL has it. Package image/gif
// loses the colour of transparent pixels, which is read again from r, the file. What the frame
// does not cover has this colour too, or the first of the palette if none is transparent.
func gifFrame(img image.Image, canvas image.Rectangle, r io.Reader) image.Image {
	m, ok := img.(*image.Paletted)
	if !ok || len(m.Palette) == 0 {
		return img
	}
	fill := max(0, slices.IndexFunc(m.Palette, func(c color.Color) bool { return c == color.RGBA{} }))
	if m.Palette[fill] == (color.RGBA{}) {
		if head, err := gifStart(&discarding{bufio.NewReader(r)}); err == nil && len(head.table) >= 3*(fill+1) {
			c := head.table[3*fill:]
			m.Palette[fill] = color.RGBA{c[0], c[1], c[2], 255}
		}
	}
	if m.Rect.Eq(canvas) {
		return m
	}
	whole := image.NewPaletted(canvas, m.Palette)
	if fill > 0 {
		for i := range whole.Pix {
			whole.Pix[i] = uint8(fill)
		}
	}
	visible := m.Rect.Intersect(canvas)
	for y := visible.Min.Y; y < visible.Max.Y; y++ {
		copy(whole.Pix[whole.PixOffset(visible.Min.X, y):][:visible.Dx()], m.Pix[m.PixOffset(visible.Min.X, y):])
	}
	return whole
}

// gifHead is what is before the pixels of a GIF's first frame.
type gifHead struct {
	table         []byte
	width, height int // of the frame
}

// gifStart reads up to the pixels of the first frame.
func gifStart(s taker) (h gifHead, err error) {
	head, err := s.copied(13)
	if err == nil {
		h.table, err = s.copied(gifTableSize(head[10]))
	}
	for err == nil {
		var kind, place []byte
		if kind, err = s.copied(1); err != nil {
			break
		}
		switch kind[0] {
		case 0x21: // an extension
			if err = s.take(1); err == nil {
				err = gifSubBlocks(s)
			}
		case 0x2c:
			if place, err = s.copied(9); err != nil {
				break
			}
			h.width, h.height = int(binary.LittleEndian.Uint16(place[4:])), int(binary.LittleEndian.Uint16(place[6:]))
			if n := gifTableSize(place[8]); n > 0 {
				h.table, err = s.copied(n)
			}
			return h, err
		default:
			return h, corrupt("a GIF without a frame")
		}
	}
	return h, err
}

// gifTableSize is the size in bytes of the colour table that a byte of flags announces.
func gifTableSize(flags byte) int64 {
	if flags&0x80 == 0 {
		return 0
	}
	return 3 << (flags&7 + 1)
}

// gifSubBlocks takes the parts of a block up to the empty one.
func gifSubBlocks(s taker) error {
	for {
		n, err := s.copied(1)
		if err != nil || n[0] == 0 {
			return err
		}
		if err := s.take(int64(n[0])); err != nil {
			return err
		}
	}
}
