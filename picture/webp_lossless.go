package picture

import (
	"bufio"
	"io"
)

// losslessPixels reports whether the data of a lossless WebP picture, without its header, codes
// as many pixels as it claims. It reads all codes and keeps no pixels (RFC 9649, section 3).
func losslessPixels(r io.Reader, width, height int) (whole bool, err error) {
	l := &lossless{r: bufio.NewReader(r)}
	for l.bit() {
		switch l.read(2) {
		case 0, 1: // predictions, colour transforms: a picture of blocks
			bits := l.read(3) + 2
			l.picture(shifted(width, bits), shifted(height, bits), nil)
		case 3: // a palette: several indices are in a pixel
			colours := l.read(8) + 1
			l.picture(colours, 1, nil)
			switch {
			case colours <= 2:
				width = shifted(width, 3)
			case colours <= 4:
				width = shifted(width, 2)
			case colours <= 16:
				width = shifted(width, 1)
			}
		}
		if l.transforms++; l.transforms > 4 {
			l.end(corrupt("a WebP of more than four transforms"))
		}
	}
	l.whole(width, height)
	return !l.ended, l.err
}

// shifted returns n / 2^bits, rounded up.
func shifted(n, bits int) int { return (n + 1<<bits - 1) >> bits }

// lossless reads the bits of a lossless WebP picture. Behind the end of the data, or where it is
// wrong, all bits are 0.
type lossless struct {
	r          *bufio.Reader
	held       uint32
	bits       int
	transforms int
	ended      bool
	err        error // nil where the data is cut
}

func (l *lossless) end(err error) {
	if !l.ended {
		l.ended, l.err = true, err
	}
}

func (l *lossless) bit() bool { return l.read(1) == 1 }

// read reads up to 24 bits.
func (l *lossless) read(n int) int {
	for l.bits < n && !l.ended {
		b, err := l.r.ReadByte()
		if err != nil {
			l.end(ignoreEOF(err))
			break
		}
		l.held |= uint32(b) << l.bits
		l.bits += 8
	}
	if l.ended {
		return 0
	}
	v := l.held & (1<<n - 1)
	l.held >>= n
	l.bits -= n
	return int(v)
}

// whole reads the main picture, which may have several groups of codes.
func (l *lossless) whole(width, height int) {
	cache := l.cache()
	if !l.bit() {
		g := l.group(cache)
		l.pixels(width, height, cache, func(int, int) *losslessGroup { return g }, nil)
		return
	}
	bits := l.read(3) + 2
	across := shifted(width, bits)
	var blocks []uint32
	l.picture(across, shifted(height, bits), &blocks)
	most := 0
	for _, v := range blocks {
		most = max(most, int(v>>8&0xffff))
	}
	const limit = 2600 // as in libwebp
	if most >= limit {
		l.end(corrupt("a WebP of %d groups of codes", most+1))
		return
	}
	groups := make([]*losslessGroup, most+1)
	for i := range groups {
		groups[i] = l.group(cache)
	}
	l.pixels(width, height, cache, func(x, y int) *losslessGroup {
		return groups[blocks[(y>>bits)*across+x>>bits]>>8&0xffff]
	}, nil)
}

// picture reads a picture of one group of codes, and keeps its pixels in out if it is not nil.
func (l *lossless) picture(width, height int, out *[]uint32) {
	cache := l.cache()
	g := l.group(cache)
	l.pixels(width, height, cache, func(int, int) *losslessGroup { return g }, out)
}

// cache reads the number of colours in the cache.
func (l *lossless) cache() int {
	if !l.bit() {
		return 0
	}
	bits := l.read(4)
	if bits < 1 || bits > 11 {
		l.end(corrupt("a WebP with a cache of 2^%d colours", bits))
		return 0
	}
	return 1 << bits
}

// pixels reads pixels, each with the codes of its group.
func (l *lossless) pixels(width, height, cache int, group func(x, y int) *losslessGroup, out *[]uint32) {
	var colours []uint32
	if out != nil {
		colours = make([]uint32, cache)
	}
	keep := func(v uint32) {
		if out == nil {
			return
		}
		*out = append(*out, v)
		if cache > 0 {
			colours[uint64(v*0x1e35a7bd)*uint64(cache)>>32] = v
		}
	}
	all := width * height
	for done := 0; done < all && !l.ended; {
		g := group(done%width, done/width)
		switch code := l.symbol(&g[0]); {
		case code < 256:
			red, blue, alpha := l.symbol(&g[1]), l.symbol(&g[2]), l.symbol(&g[3])
			keep(uint32(alpha)<<24 | uint32(red)<<16 | uint32(code)<<8 | uint32(blue))
			done++
		case code < 256+24:
			length := l.number(code - 256)
			back := losslessDistance(width, l.number(l.symbol(&g[4])))
			if back > done || length > all-done {
				l.end(errCode())
				break
			}
			done += length
			for ; length > 0 && out != nil; length-- {
				keep((*out)[len(*out)-back])
			}
		case code-256-24 >= cache:
			l.end(errCode())
		default:
			if out != nil {
				keep(colours[code-256-24])
			}
			done++
		}
	}
}

// number reads a length or a distance that begins with a symbol.
func (l *lossless) number(symbol int) int {
	if symbol < 4 {
		return symbol + 1
	}
	more := (symbol - 2) / 2
	return (2+symbol%2)<<more + l.read(more) + 1
}

// losslessNear are the places of the nearest pixels, in the order of their codes: rows above, and
// columns to the left plus 8.
const losslessNear = "\x18\x07\x17\x19\x28\x06\x27\x29\x16\x1a\x26\x2a\x38\x05\x37\x39\x15\x1b\x36\x3a" +
	"\x25\x2b\x48\x04\x47\x49\x14\x1c\x35\x3b\x46\x4a\x24\x2c\x58\x45\x4b\x34\x3c\x03\x57\x59\x13\x1d\x56\x5a\x23\x2d\x44\x4c" +
	"\x55\x5b\x33\x3d\x68\x02\x67\x69\x12\x1e\x66\x6a\x22\x2e\x54\x5c\x43\x4d\x65\x6b\x32\x3e\x78\x01\x77\x79\x53\x5d\x11\x1f" +
	"\x64\x6c\x42\x4e\x76\x7a\x21\x2f\x75\x7b\x31\x3f\x63\x6d\x52\x5e\x00\x74\x7c\x41\x4f\x10\x20\x62\x6e\x30\x73\x7d\x51\x5f" +
	"\x40\x72\x7e\x61\x6f\x50\x71\x7f\x60\x70"

// losslessDistance is the distance that a code stands for in a picture of some width.
func losslessDistance(width, code int) int {
	if code > len(losslessNear) {
		return code - len(losslessNear)
	}
	near := int(losslessNear[code-1])
	return max(1, near>>4*width+8-near&15)
}
