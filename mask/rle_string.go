package mask

import (
	"fmt"
	"math"
	"strconv"
)

// The compressed string writes every run length as a little-endian signed number
// of base 32, five bits and a continuation bit (32) to a character, from '0' up.
// From the fourth run on it is the difference to the run two before.
const (
	firstChar    = '0'
	lastChar     = '0' + 63
	moreBit      = 0x20
	signBit      = 0x10
	maxRunLength = 7 // characters: 33 bits with the sign
)

// String returns the compressed string of the COCO API.
func (r RLE) String() string {
	out := make([]byte, 0, 2*len(r.Counts))
	for i, c := range r.Counts {
		x := int64(c)
		if i > 2 {
			x -= int64(r.Counts[i-2])
		}
		for {
			digit := byte(x & 0x1f)
			x >>= 5
			if x == 0 && digit&signBit == 0 || x == -1 && digit&signBit != 0 {
				out = append(out, firstChar+digit)
				break
			}
			out = append(out, firstChar+(digit|moreBit))
		}
	}
	return string(out)
}

// ParseRLE reads the compressed string of a mask of width × height pixels. It
// is strict: a foreign character, a truncated or overlong number, a negative
// run, and runs that do not add up to width*height are errors that name the
// place. It allocates in proportion to s, whatever the size claims.
func ParseRLE(width, height int, s string) (RLE, error) {
	if _, err := pixels(width, height); err != nil {
		return RLE{}, err
	}
	n := 0
	for i := range len(s) {
		c := s[i]
		if c < firstChar || c > lastChar {
			return RLE{}, fmt.Errorf("mask: RLE string has %s at byte %d", strconv.QuoteToASCII(s[i:i+1]), i)
		}
		if (c-firstChar)&moreBit == 0 {
			n++
		}
	}
	counts := make([]uint32, 0, n)
	for i := 0; i < len(s); {
		start := i
		var x int64
		for more := true; more; i++ {
			if i == len(s) {
				return RLE{}, fmt.Errorf("mask: RLE string ends inside the run that starts at byte %d", start)
			}
			if i-start == maxRunLength {
				return RLE{}, fmt.Errorf("mask: RLE string: the run at byte %d is longer than %d characters", start, maxRunLength)
			}
			digit, shift := int64(s[i]-firstChar), 5*(i-start)
			x |= digit & 0x1f << shift
			more = digit&moreBit != 0
			if !more && digit&signBit != 0 {
				x |= -1 << (shift + 5)
			}
		}
		if len(counts) > 2 {
			x += int64(counts[len(counts)-2])
		}
		if x < 0 || x > math.MaxUint32 {
			return RLE{}, fmt.Errorf("mask: RLE string: run %d, at byte %d, has length %d", len(counts), start, x)
		}
		counts = append(counts, uint32(x))
	}
	r := RLE{Width: width, Height: height, Counts: counts}
	if err := r.Validate(); err != nil {
		return RLE{}, err
	}
	return r, nil
}
