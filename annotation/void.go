package annotation

import "image/color"

// void is the number of what is not annotated in label maps of PASCAL VOC, and of the many data sets that
// follow it: borders between objects, and objects that are too difficult.
const void = 255

// vocColour returns the colour of a number in PASCAL VOC's colour map (VOClabelcolormap of its
// development kit): the bits of the number, three at a time, are the bits of red, green and blue from the
// highest down.
func vocColour(n int) color.NRGBA {
	var c [3]uint8
	for bit := 7; n > 0; bit, n = bit-1, n>>3 {
		for i := range c {
			c[i] |= uint8(n>>i&1) << bit
		}
	}
	return color.NRGBA{c[0], c[1], c[2], 255}
}

// packed returns the number that a colour has in a label map in colours.
func packed(c color.NRGBA) uint32 { return uint32(c.R)<<16 | uint32(c.G)<<8 | uint32(c.B) }

// isVOCPalette reports whether a palette has PASCAL VOC's colour for void.
func isVOCPalette(p color.Palette) bool {
	return len(p) > void && color.NRGBAModel.Convert(p[void]) == vocColour(void)
}

// isVOCMap is isVOCPalette for the tag ColorMap of TIFF: all reds, all greens, all blues, of 16 bits.
func isVOCMap(m []uint16) bool {
	return len(m) == 3*(void+1) && isVOCPalette(color.Palette{void: color.NRGBA{
		uint8(m[void] >> 8), uint8(m[2*void+1] >> 8), uint8(m[3*void+2] >> 8), 255}})
}

// isVOCPicture reports whether all colours of a label map in colours are PASCAL VOC's.
func (r *raster) isVOCPicture() bool {
	known := map[uint32]bool{}
	for n := range void + 1 {
		known[packed(vocColour(n))] = true
	}
	for _, v := range r.values {
		if !known[v] {
			return false
		}
	}
	return true
}

// dropVoid makes void background, and reports whether there was any. Only colours can tell it from the
// 255th object: those of PASCAL VOC's map. Where 254 occurs as well, the numbers go on to 255.
func (r *raster) dropVoid() bool {
	none, before := uint32(void), uint32(void-1)
	if r.coloured {
		none, before = packed(vocColour(void)), packed(vocColour(void-1))
		r.voc = r.isVOCPicture()
	}
	if !r.voc {
		return false
	}
	found := false
	for _, v := range r.values {
		if v == before {
			return false
		}
		found = found || v == none
	}
	for i, v := range r.values {
		if v == none {
			r.values[i] = 0
		}
	}
	return found
}

// perhapsVoid reports whether labels, ascending, are 1, 2, … and, after a gap, 255.
func perhapsVoid(labels []uint32) bool {
	last := len(labels) - 1
	return last > 0 && last < void-1 && labels[last] == void && labels[last-1] == uint32(last)
}
