package picture

import (
	"bufio"
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
		if table := gifTable(r); len(table) >= 3*(fill+1) {
			c := table[3*fill:]
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

// gifTable returns the colour table of a GIF's first frame, nil if the file is damaged.
func gifTable(r io.Reader) []byte {
	s := &discarding{bufio.NewReader(r)}
	head, err := s.copied(13)
	if err != nil {
		return nil
	}
	table, _ := s.copied(gifTableSize(head[10]))
	for {
		kind, err := s.copied(1)
		switch {
		case err == nil && kind[0] == 0x21: // an extension
			if s.take(1) != nil || gifSubBlocks(s) != nil {
				return nil
			}
		case err == nil && kind[0] == 0x2c:
			place, err := s.copied(9)
			if err != nil {
				return nil
			}
			if n := gifTableSize(place[8]); n > 0 {
				table, _ = s.copied(n)
			}
			return table
		default:
			return nil
		}
	}
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
