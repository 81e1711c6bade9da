package picture

import (
	"encoding/binary"
	"image"
)

// chroma reads the rows of a picture with luma and (mostly smaller) chroma planes.
// Chroma of half the size is interpolated with the triangle filter of libjpeg's
// "fancy upsampling": a sample between two others is 3/4 of the nearer one and 1/4
// of the other, rounded up and down in turn.
type chroma struct {
	m             *image.YCbCr
	colours       *colours
	width, height int      // of the visible chroma planes, in samples
	across, down  bool     // interpolated in this direction
	even, odd     uint32   // what is added to sixteenths of a sample, to round
	mixed         []uint32 // a row of chroma: see mix
}

func newChroma(m *image.YCbCr, television bool) *chroma {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	c := &chroma{m: m, colours: jfif, width: w, height: h, even: 8, odd: 7}
	if television { // libwebp rounds both to the nearest
		c.colours, c.odd = broadcast, 8
	}
	// Interpolation starts at sample 0; a sub-image cut between two pixels of a
	// sample repeats chroma instead.
	if m.Rect.Min.X%2 == 0 && m.Rect.Min.Y%2 == 0 {
		switch m.SubsampleRatio {
		case image.YCbCrSubsampleRatio420:
			c.across, c.down = true, true
		case image.YCbCrSubsampleRatio422:
			c.across, c.even, c.odd = true, 4, 8
		case image.YCbCrSubsampleRatio440:
			c.down = true
		}
	}
	if c.across {
		c.width = (w + 1) / 2
	}
	if c.down {
		c.height = (h + 1) / 2
	}
	if c.across && c.width <= 2 && !television { // libjpeg repeats chroma that is so narrow
		c.across, c.down = false, false
	}
	c.mixed = make([]uint32, w+chunk+2)
	return c
}

// row writes row y as opaque RGBA.
func (c *chroma) row(y int, out []uint8) {
	m := c.m
	luma := m.Y[m.YOffset(m.Rect.Min.X, y):][:m.Rect.Dx()]
	if !c.across && !c.down {
		for i := range luma {
			at := m.COffset(m.Rect.Min.X+i, y)
			c.mixed[i+1] = uint32(m.Cb[at])<<2 | uint32(m.Cr[at])<<18
		}
		c.colours.row(luma, c.mixed, false, 0, 0, out)
		return
	}
	y -= m.Rect.Min.Y
	near, far := y, y
	if c.down {
		near, far = y/2, max(0, min(y/2-1+y%2*2, c.height-1))
	}
	first := m.COffset(m.Rect.Min.X, m.Rect.Min.Y)
	near, far = first+near*m.CStride, first+far*m.CStride
	mix(m.Cb[near:][:c.width], m.Cr[near:][:c.width], m.Cb[far:][:c.width], m.Cr[far:][:c.width], c.mixed)
	if c.across {
		c.colours.row(luma, c.mixed, true, c.even, c.odd, out)
	} else {
		c.colours.row(luma, c.mixed, false, uint32(1+y%2), uint32(1+y%2), out)
	}
}

// mix writes chroma times 4, blue and 2¹⁶ times red: 3/4 of the near row and 1/4 of the far one.
// The first and the last sample are repeated before and behind the row.
func mix(nearB, nearR, farB, farR []uint8, out []uint32) {
	n := len(nearB)
	nearR, farB, farR, row := nearR[:n], farB[:n], farR[:n], out[1:][:n]
	for i := range row {
		row[i] = 3*(uint32(nearB[i])|uint32(nearR[i])<<16) + (uint32(farB[i]) | uint32(farR[i])<<16)
	}
	out[0], out[n+1] = row[0], row[n-1]
}

// colours are tables of what luma and chroma add to red, green and blue. An entry holds all
// three: green times 2¹⁶, red times 2³² and blue times 2⁴⁸.
type colours struct {
	y, cb, cr [256]uint64
	opaque    uint64 // alpha of two pixels: the compiler stores a constant byte on its own
}

const green, red, blue = 16, 32, 48

// jfif are the colours of JPEG files, in libjpeg's fixed point.
var jfif = func() *colours {
	const half = 1 << 15
	c := &colours{opaque: 0xff<<56 | 0xff<<24}
	for i := range int64(256) {
		v := i - 128
		c.y[i] = uint64(i<<green + i<<red + i<<blue)
		c.cb[i] = uint64(half - 22554*v + (116130*v+half)>>16<<blue)
		c.cr[i] = uint64(-46802*v + (91881*v+half)>>16<<red)
	}
	return c
}()

// broadcast are the colours of BT.601 with the range 16…235, in libwebp's fixed point of 6 bits.
var broadcast = func() *colours {
	const green, red, blue = green - 6, red - 6, blue - 6
	c := &colours{opaque: 0xff<<56 | 0xff<<24}
	for i := range int64(256) {
		y := i * 19077 >> 8
		c.y[i] = uint64(y<<green + y<<red + y<<blue)
		c.cb[i] = uint64((8708-i*6419>>8)<<green + (i*33050>>8-17685)<<blue)
		c.cr[i] = uint64(-(i*13320>>8)<<green + (i*26149>>8-14234)<<red)
	}
	return c
}()

// A chunk of pixels is computed at a time.
const chunk = 64

// row writes pixels of luma and mixed chroma, of which half as much is interpolated if it is
// wide. Even and odd are added to the chroma of every second pixel, to round.
func (c *colours) row(luma []uint8, mixed []uint32, wide bool, even, odd uint32, out []uint8) {
	even, odd = even|even<<16, odd|odd<<16
	var sums [chunk]uint64
	var lastLuma [chunk]uint8
	var lastOut [4 * chunk]uint8
	for x := 0; x < len(luma); x += chunk {
		y, to := &lastLuma, &lastOut
		if x+chunk <= len(luma) {
			y, to = (*[chunk]uint8)(luma[x:]), (*[4 * chunk]uint8)(out[4*x:])
		} else {
			copy(y[:], luma[x:])
		}
		var beyond uint64
		if wide {
			beyond = c.wide(y, (*[chunk/2 + 2]uint32)(mixed[x/2:]), even, odd, &sums)
		} else {
			beyond = c.narrow(y, (*[chunk]uint32)(mixed[1+x:]), even, &sums)
		}
		if beyond != 0 {
			clip(&sums)
		}
		store(&sums, c.opaque, to)
		if to == &lastOut {
			copy(out[4*x:], to[:])
		}
	}
}

// narrow computes colours of pixels with chroma of their own. What it returns is 0 if they are
// within 0 to 255.
func (c *colours) narrow(luma *[chunk]uint8, mixed *[chunk]uint32, round uint32, sums *[chunk]uint64) (beyond uint64) {
	for i, y := range luma {
		v := mixed[i] + round
		sum := c.y[y] + c.cb[uint8(v>>2)] + c.cr[uint8(v>>18)]
		sums[i] = sum
		beyond |= sum
	}
	return beyond & outside
}

// wide is narrow for chroma that is interpolated.
func (c *colours) wide(luma *[chunk]uint8, mixed *[chunk/2 + 2]uint32, even, odd uint32, sums *[chunk]uint64) (beyond uint64) {
	for i := range chunk / 2 {
		here := 3 * mixed[i+1]
		left, right := here+mixed[i]+even, here+mixed[i+2]+odd
		a := c.y[luma[2*i]] + c.cb[uint8(left>>4)] + c.cr[uint8(left>>20)]
		b := c.y[luma[2*i+1]] + c.cb[uint8(right>>4)] + c.cr[uint8(right>>20)]
		sums[2*i], sums[2*i+1] = a, b
		beyond |= a | b
	}
	return beyond & outside
}

// outside are bits of which one is set in a sum that has a colour below 0 or above 255.
const outside = 0xff<<(blue+8) | 3<<(red+8) | 3<<(green+8)

// clip brings all colours to 0 to 255.
func clip(sums *[chunk]uint64) {
	for i, sum := range sums {
		sum += 256<<green + 256<<red + 256<<blue // so that none is taken from the next one
		r, g, b := clamp(int32(sum>>red&1023)-256), clamp(int32(sum>>green&1023)-256), clamp(int32(int16(sum>>blue))-256)
		sums[i] = uint64(r)<<red | uint64(g)<<green | uint64(b)<<blue
	}
}

// store writes RGBA, two pixels at a time.
func store(sums *[chunk]uint64, opaque uint64, out *[4 * chunk]uint8) {
	for i := 0; i < chunk; i += 2 {
		a, b := sums[i], sums[i+1]
		binary.LittleEndian.PutUint64(out[4*i:], opaque|
			a>>red&0xff00ff|a>>(green-8)&0xff00|b&(0xff00ff<<32)|b<<(40-green)&(0xff<<40))
	}
}

func clamp(v int32) uint8 { return uint8(max(0, min(v, 255))) }
