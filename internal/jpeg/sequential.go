package jpeg

// A block holds the coefficients of a block, times their quantizers, each two neighbours in a
// row as one number: the left one plus 2³² times the right one. Sums and multiples of such
// numbers are sums and multiples of both coefficients.
type block [32]int64

// A dequantizer has a place in the block and a factor for each coefficient, in the order of the
// file, and for those that a damaged file counts beyond.
type dequantizer struct {
	at     [64 + 16]uint8
	factor [64 + 16]int64
}

func newDequantizer(q *[64]uint16) *dequantizer {
	d := &dequantizer{}
	for i := range d.at {
		at := zigzag[min(i, 63)]
		d.at[i] = at / 2
		d.factor[i] = int64(q[min(i, 63)]) << (32 * (at % 2))
	}
	return d
}

// sequential reads a block of a sequential picture, which is 0 yet, and returns the place of its
// last coefficient in the order of the file.
func (s *scan) sequential(c *component, out *block) (last int, err error) {
	b := &s.bits
	if err := b.ready(); err != nil {
		return 0, err
	}
	n, err := b.symbol(c.dc)
	if err != nil {
		return 0, err
	}
	if n > 16 {
		return 0, errCode
	}
	c.predictor += b.number(uint(n))
	d, ac := c.dequantizer, c.ac
	out[0] = int64(c.predictor) * d.factor[0]
	for k := 1; k < 64; k++ {
		if b.count < 32 {
			b.fill()
		}
		e := ac.numbers[b.held>>(64-look)]
		var v int64
		if e != 0 {
			n := uint(e & 255)
			b.held <<= n & 63
			b.count -= n
			k += int(e >> 8 & 15)
			v = int64(int32(e) >> 16)
		} else {
			code, err := b.symbol(ac)
			if err != nil {
				return 0, err
			}
			if code&15 == 0 {
				if code != 0xf0 {
					break
				}
				k += 15
				continue
			}
			k += code >> 4
			v = int64(b.number(uint(code & 15)))
		}
		out[d.at[k]&31] += v * d.factor[k]
		last = k
	}
	return last, nil
}
