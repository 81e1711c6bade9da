package jpeg

// coefficients reads what the scan has of a block, whose coefficients are in the order of the file.
func (s *scan) coefficients(c *component, b *[64]int16) error {
	if err := s.bits.ready(); err != nil {
		return err
	}
	switch {
	case s.from == 0 && s.high > 0:
		b[0] |= int16(s.bits.bits(1) << s.low)
		return nil
	case s.high > 0:
		return s.refine(c.ac, b)
	}
	at := s.from
	if at == 0 {
		n, err := s.bits.symbol(c.dc)
		if err != nil {
			return err
		}
		if n > 16 {
			return errCode
		}
		c.predictor += s.bits.number(uint(n))
		b[0] = int16(c.predictor << s.low)
		at = 1
	}
	if s.run > 0 {
		s.run--
		return nil
	}
	for ; at <= s.to; at++ {
		code, err := s.bits.symbol(c.ac)
		if err != nil {
			return err
		}
		zeros, n := code>>4, code&15
		if n == 0 {
			if zeros == 15 {
				at += 15
				continue
			}
			s.end(zeros)
			return nil
		}
		at += zeros
		b[min(at, 63)] = int16(s.bits.number(uint(n)) << s.low)
	}
	return nil
}

// end begins a run of blocks that have no more coefficients in this scan, this one
// among them.
func (s *scan) end(size int) {
	if s.progressive {
		s.run = 1<<size + s.bits.bits(uint(size)) - 1
	}
}

// refine reads one more bit of coefficients that are known not to be 0, and new ones (G.1.2.3).
func (s *scan) refine(ac *huffman, b *[64]int16) error {
	bit := int16(1 << s.low)
	// correct reads the bit of a coefficient.
	correct := func(v *int16) {
		more := s.bits.bits(1)
		switch {
		case more == 0 || *v&bit != 0:
		case *v > 0:
			*v += bit
		default:
			*v -= bit
		}
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
				if fresh = bit; s.bits.bits(1) == 0 {
					fresh = -bit
				}
			case n > 1:
				return errCode
			case zeros < 15:
				s.end(zeros)
				s.run++ // this block is counted below
			}
			if n == 0 && zeros < 15 {
				break
			}
			for ; at <= s.to; at++ {
				v := &b[at]
				if *v != 0 {
					correct(v)
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
			if v := &b[at]; *v != 0 {
				correct(v)
			}
		}
		s.run--
	}
	return nil
}
