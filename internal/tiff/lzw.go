package tiff

import "errors"

var errLZW = errors.New("LZW data is damaged")

const (
	lzwClear = 256
	lzwEnd   = 257
	lzwCodes = 4096 // codes have at most 12 bits
)

// unLZW appends what LZW data stands for, up to limit bytes in all. Codes grow by a bit one
// code earlier than in GIF. Files from before TIFF 5.0 hold the low bits first and grow
// when GIF does; they begin with the clear code in that order.
func unLZW(dst, src []byte, limit int) ([]byte, error) {
	old := len(src) > 1 && src[0] == 0 && src[1]&1 == 1
	// A code stands for what its prefix stands for and one more byte.
	var prefix [lzwCodes]uint16
	var suffix, first [lzwCodes]byte
	var length [lzwCodes]uint16
	for i := range 256 {
		suffix[i], first[i], length[i] = byte(i), byte(i), 1
	}
	early := 1
	if old {
		early = 0
	}
	next, width := lzwEnd+1, 9
	last := -1
	bits, held := uint32(0), 0
	for len(dst) < limit {
		for held < width {
			if len(src) == 0 {
				return dst, nil // without an end code: as far as it goes
			}
			if old {
				bits |= uint32(src[0]) << held
			} else {
				bits = bits<<8 | uint32(src[0])
			}
			held += 8
			src = src[1:]
		}
		var code int
		if old {
			code = int(bits & (1<<width - 1))
			bits >>= width
		} else {
			code = int(bits >> (held - width) & (1<<width - 1))
		}
		held -= width
		switch {
		case code == lzwClear:
			next, width, last = lzwEnd+1, 9, -1
			continue
		case code == lzwEnd:
			return dst, nil
		case last < 0 && code > 255, code > next, code == next && next >= lzwCodes:
			return dst, errLZW
		}
		if last >= 0 && next < lzwCodes {
			prefix[next], first[next], length[next] = uint16(last), first[last], length[last]+1
			suffix[next] = first[last]
			if code != next {
				suffix[next] = first[code]
			}
			next++
		}
		n := int(length[code])
		start := len(dst)
		dst = grow(dst, n, limit)[:start+n]
		for at, c := start+n-1, code; at >= start; at-- {
			dst[at] = suffix[c]
			c = int(prefix[c])
		}
		last = code
		if next+early >= 1<<width && width < 12 {
			width++
		}
	}
	return dst[:limit], nil
}
