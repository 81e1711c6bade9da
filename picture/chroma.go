package picture

import "image"

// chroma reads the rows of a picture with luma and (mostly smaller) chroma planes.
// Chroma of half the size is interpolated with the triangle filter of libjpeg's
// "fancy upsampling": a sample between two others is 3/4 of the nearer one and 1/4
// of the other, rounded up and down in turn.
type chroma struct {
	m                  *image.YCbCr
	width, height      int  // of the visible chroma planes, in samples
	across, down       bool // interpolated in this direction
	television         bool
	cb, cr             []uint8 // a row at full width
	columnsB, columnsR []int32 // a chroma row after vertical interpolation
}

func newChroma(m *image.YCbCr, television bool) *chroma {
	c := &chroma{m: m, television: television}
	w, h := m.Rect.Dx(), m.Rect.Dy()
	c.cb, c.cr = make([]uint8, w), make([]uint8, w)
	// Interpolation starts at sample 0; a sub-image cut between two pixels of a
	// sample repeats chroma instead.
	if m.Rect.Min.X%2 != 0 || m.Rect.Min.Y%2 != 0 {
		return c
	}
	switch m.SubsampleRatio {
	case image.YCbCrSubsampleRatio420:
		c.across, c.down = true, true
	case image.YCbCrSubsampleRatio422:
		c.across = true
	case image.YCbCrSubsampleRatio440:
		c.down = true
	}
	c.width, c.height = w, h
	if c.across {
		c.width = (w + 1) / 2
	}
	if c.down {
		c.height = (h + 1) / 2
	}
	if c.across && c.width <= 2 && !television { // libjpeg repeats chroma that is so narrow
		c.across, c.down = false, false
	}
	c.columnsB, c.columnsR = make([]int32, c.width), make([]int32, c.width)
	return c
}

func (c *chroma) row(y int, rgb []uint8) {
	m := c.m
	switch {
	case c.across || c.down:
		c.upsample(y-m.Rect.Min.Y, m.Cb, c.columnsB, c.cb)
		c.upsample(y-m.Rect.Min.Y, m.Cr, c.columnsR, c.cr)
	default:
		for i := range c.cb {
			at := m.COffset(m.Rect.Min.X+i, y)
			c.cb[i], c.cr[i] = m.Cb[at], m.Cr[at]
		}
	}
	luma := m.Y[m.YOffset(m.Rect.Min.X, y):][:len(c.cb)]
	if c.television {
		televisionRow(luma, c.cb, c.cr, rgb)
	} else {
		jpegRow(luma, c.cb, c.cr, rgb)
	}
}

// upsample writes row y of one chroma plane at full width. Columns hold the samples
// times 4 where two rows were mixed.
func (c *chroma) upsample(y int, plane []uint8, columns []int32, out []uint8) {
	first := c.m.COffset(c.m.Rect.Min.X, c.m.Rect.Min.Y)
	at := func(row int) []uint8 {
		row = max(0, min(row, c.height-1))
		return plane[first+row*c.m.CStride:][:c.width]
	}
	if !c.down {
		for i, v := range at(y) {
			columns[i] = int32(v)
		}
		across(columns, out, 1, 2, 2)
		return
	}
	near, far := at(y/2), at(y/2-1+y%2*2)
	for i := range columns {
		columns[i] = 3*int32(near[i]) + int32(far[i])
	}
	switch {
	case c.across && c.television: // libwebp rounds both to the nearest
		across(columns, out, 8, 8, 4)
		return
	case c.across:
		across(columns, out, 8, 7, 4)
		return
	}
	for i, v := range columns {
		out[i] = uint8((v + 1 + int32(y%2)) >> 2)
	}
}

// across doubles the width: even and odd are added before the shift, to round.
func across(columns []int32, out []uint8, even, odd int32, shift int) {
	last := len(columns) - 1
	for i, v := range columns {
		before, after := columns[max(i-1, 0)], columns[min(i+1, last)]
		out[2*i] = uint8((3*v + before + even) >> shift)
		if 2*i+1 < len(out) {
			out[2*i+1] = uint8((3*v + after + odd) >> shift)
		}
	}
}

// jpegRow converts JFIF colours in libjpeg's fixed point.
func jpegRow(luma, cb, cr, rgb []uint8) {
	const half = 1 << 15
	for i, l := range luma {
		y, b, r := int32(l), int32(cb[i])-128, int32(cr[i])-128
		out := rgb[3*i:][:3]
		out[0] = clamp(y + (91881*r+half)>>16)
		out[1] = clamp(y + (half-22554*b-46802*r)>>16)
		out[2] = clamp(y + (116130*b+half)>>16)
	}
}

// televisionRow converts BT.601 colours of the range 16…235 in libwebp's fixed point.
func televisionRow(luma, cb, cr, rgb []uint8) {
	for i, l := range luma {
		y, b, r := int32(l)*19077>>8, int32(cb[i]), int32(cr[i])
		out := rgb[3*i:][:3]
		out[0] = clamp((y + r*26149>>8 - 14234) >> 6)
		out[1] = clamp((y - b*6419>>8 - r*13320>>8 + 8708) >> 6)
		out[2] = clamp((y + b*33050>>8 - 17685) >> 6)
	}
}

func clamp(v int32) uint8 { return uint8(max(0, min(v, 255))) }
