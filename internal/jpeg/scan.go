package jpeg

import (
	"errors"
	"io"
)

// A scan codes some coefficients of some components.
type scan struct {
	*decoder
	components []*component
	from, to   int // coefficients, in the file's order
	high, low  int // bits: those before, and those after this scan are missing
}

func (d *decoder) scan(s []byte) error {
	if len(s) < 1 || d.components == nil {
		return errors.New("a scan before the frame of a JPEG")
	}
	n := int(s[0])
	if n < 1 || n > 4 || len(s) < 4+2*n {
		return io.ErrUnexpectedEOF
	}
	sc := &scan{decoder: d, from: int(s[1+2*n]), to: int(s[2+2*n]), high: int(s[3+2*n] >> 4), low: int(s[3+2*n] & 15)}
	blocks := 0
	for i := range n {
		id, tables := int(s[1+2*i]), s[2+2*i]
		for _, c := range d.components {
			if c.id == id {
				c.dc, c.ac, c.predictor = int(tables>>4)&3, int(tables&3), 0
				sc.components = append(sc.components, c)
				blocks += c.h * c.v
				break
			}
		}
	}
	if len(sc.components) != n || n > 1 && blocks > 10 {
		return errors.New("a scan of wrong components in a JPEG")
	}
	if !d.progressive {
		sc.from, sc.to, sc.high, sc.low = 0, 63, 0, 0
	}
	if sc.to > 63 || sc.from > sc.to || sc.low > 13 || sc.from > 0 && n > 1 || d.progressive && sc.from == 0 && sc.to > 0 {
		return errors.New("a scan of wrong coefficients in a JPEG")
	}
	return sc.read()
}

// read goes over the MCUs. In a scan of one component an MCU is a block, and only those that
// hold the picture are coded.
func (s *scan) read() error {
	first := s.components[0]
	single := len(s.components) == 1
	across, down := first.stride/first.h, first.rows/first.v
	if single {
		across, down = first.across, first.down
	}
	s.run = 0
	for i := range across * down {
		if s.interval > 0 && i > 0 && i%s.interval == 0 {
			if err := s.restart(); err != nil {
				return err
			}
		}
		x, y := i%across, i/across
		if single {
			if err := s.block(first, first.block(x, y)); err != nil {
				return err
			}
			continue
		}
		for _, c := range s.components {
			for v := range c.v {
				for h := range c.h {
					if err := s.block(c, c.block(x*c.h+h, y*c.v+v)); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

// restart passes over the marker and forgets what came before.
func (s *scan) restart() error {
	m, ok := s.bits.marker()
	if !ok {
		return io.ErrUnexpectedEOF
	}
	if m < 0xd0 || m > 0xd7 {
		return errors.New("a restart is missing in a JPEG")
	}
	for _, c := range s.components {
		c.predictor = 0
	}
	s.run = 0
	return nil
}

func (s *scan) block(c *component, b []int16) error {
	dc, ac := s.huffman[0][c.dc], s.huffman[1][c.ac]
	if s.from == 0 && dc == nil || s.to > 0 && ac == nil {
		return errors.New("a Huffman table is missing in a JPEG")
	}
	switch {
	case s.from == 0 && s.high > 0:
		bit, err := s.bits.bits(1)
		b[0] |= int16(bit << s.low)
		return err
	case s.high > 0:
		return s.refine(ac, b)
	}
	at := s.from
	if at == 0 {
		n, err := s.bits.symbol(dc)
		if err != nil {
			return err
		}
		if n > 15 {
			return errCode
		}
		diff, err := s.bits.extended(n)
		if err != nil {
			return err
		}
		c.predictor += diff
		b[0] = int16(c.predictor << s.low)
		at = 1
	}
	if s.run > 0 {
		s.run--
		return nil
	}
	for ; at <= s.to; at++ {
		code, err := s.bits.symbol(ac)
		if err != nil {
			return err
		}
		zeros, n := code>>4, code&15
		if n == 0 {
			if zeros == 15 {
				at += 15
				continue
			}
			return s.end(zeros)
		}
		if at += zeros; at > s.to {
			return errCode
		}
		v, err := s.bits.extended(n)
		if err != nil {
			return err
		}
		b[zigzag[at]] = int16(v << s.low)
	}
	return nil
}

// end begins a run of blocks that have no more coefficients in this scan, this one
// among them.
func (s *scan) end(size int) error {
	if !s.progressive {
		return nil
	}
	more, err := s.bits.bits(size)
	s.run = 1<<size + more - 1
	return err
}

// refine reads one more bit of coefficients that are known not to be 0, and new ones (G.1.2.3).
func (s *scan) refine(ac *huffman, b []int16) error {
	bit := int16(1 << s.low)
	// correct reads the bit of a coefficient.
	correct := func(v *int16) error {
		more, err := s.bits.bits(1)
		switch {
		case err != nil || more == 0 || *v&bit != 0:
		case *v > 0:
			*v += bit
		default:
			*v -= bit
		}
		return err
	}
	at := s.from
	if s.run == 0 {
		for ; at <= s.to; at++ {
			code, err := s.bits.symbol(ac)
			if err != nil {
				return err
			}
			zeros, n, fresh := code>>4, code&15, int16(0)
			switch {
			case n == 1:
				sign, err := s.bits.bits(1)
				if err != nil {
					return err
				}
				if fresh = bit; sign == 0 {
					fresh = -bit
				}
			case n > 1:
				return errCode
			case zeros < 15:
				if err := s.end(zeros); err != nil {
					return err
				}
				s.run++ // this block is counted below
			}
			if n == 0 && zeros < 15 {
				break
			}
			for ; at <= s.to; at++ {
				v := &b[zigzag[at]]
				if *v != 0 {
					if err := correct(v); err != nil {
						return err
					}
					continue
				}
				if zeros == 0 {
					*v = fresh
					break
				}
				zeros--
			}
		}
	}
	if s.run > 0 {
		for ; at <= s.to; at++ {
			if v := &b[zigzag[at]]; *v != 0 {
				if err := correct(v); err != nil {
					return err
				}
			}
		}
		s.run--
	}
	return nil
}
