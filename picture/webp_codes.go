package picture

import "slices"

func errCode() error { return corrupt("a WebP with a wrong code") }

// A losslessGroup has the codes of green, lengths and cached colours, of red, blue, alpha, and of
// distances.
type losslessGroup [5]losslessCode

// A losslessCode is a canonical Huffman code.
type losslessCode struct {
	count   [16]uint16 // symbols by the length of their code
	symbols []uint16   // in the order of their codes
}

// group reads the codes of pixels. Green has symbols for the colours in a cache, too.
func (l *lossless) group(cache int) *losslessGroup {
	g := &losslessGroup{}
	for i, n := range [5]int{256 + 24 + cache, 256, 256, 256, 40} {
		g[i] = l.code(n)
	}
	return g
}

// code reads a code of up to n symbols.
func (l *lossless) code(n int) losslessCode {
	if l.bit() { // one or two symbols
		two := l.bit()
		symbols := []uint16{uint16(l.read(1 + 7*l.read(1)))}
		if two {
			symbols = append(symbols, uint16(l.read(8)))
		}
		if int(slices.Max(symbols)) >= n {
			l.end(errCode())
		}
		c := losslessCode{symbols: symbols}
		c.count[len(symbols)-1] = uint16(len(symbols))
		return c
	}
	var first [19]uint8
	for _, at := range []int{17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}[:l.read(4)+4] {
		first[at] = uint8(l.read(3))
	}
	return l.canonical(l.lengths(n, l.canonical(first[:])))
}

// lengths reads the lengths of the codes of n symbols, which are coded themselves.
func (l *lossless) lengths(n int, code losslessCode) []uint8 {
	most := n
	if l.bit() {
		if most = l.read(2+2*l.read(3)) + 2; most > n {
			l.end(errCode())
			return nil
		}
	}
	out := make([]uint8, 0, n)
	last := uint8(8)
	for ; most > 0 && len(out) < n; most-- {
		s := l.symbol(&code)
		repeat, v := 1, uint8(s)
		switch s {
		case 16:
			repeat, v = 3+l.read(2), last
		case 17:
			repeat, v = 3+l.read(3), 0
		case 18:
			repeat, v = 11+l.read(7), 0
		default:
			if v != 0 {
				last = v
			}
		}
		if repeat > n-len(out) {
			l.end(errCode())
			return nil
		}
		for range repeat {
			out = append(out, v)
		}
	}
	return out
}

// canonical makes the code of symbols whose codes have these lengths; 0 for none.
func (l *lossless) canonical(lengths []uint8) (c losslessCode) {
	for _, n := range lengths {
		c.count[n]++
	}
	c.count[0] = 0
	for length := 1; length < len(c.count); length++ {
		for s, n := range lengths {
			if int(n) == length {
				c.symbols = append(c.symbols, uint16(s))
			}
		}
	}
	switch len(c.symbols) {
	case 0:
		l.end(errCode())
	case 1: // takes no bits
		c.count = [16]uint16{1}
	}
	return c
}

// symbol reads a symbol.
func (l *lossless) symbol(c *losslessCode) int {
	if c.count[0] > 0 {
		return int(c.symbols[0])
	}
	code, first, at := 0, 0, 0
	for length := 1; length < len(c.count); length++ {
		code |= l.read(1)
		count := int(c.count[length])
		if code-first < count {
			return int(c.symbols[at+code-first])
		}
		at += count
		first = (first + count) << 1
		code <<= 1
	}
	l.end(errCode())
	return 0
}
