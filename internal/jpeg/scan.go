package jpeg

import (
	"errors"
	"io"
	"slices"
)

// A scan codes some coefficients of some components.
type scan struct {
	*decoder
	components []*component
	from, to   int // coefficients, in the file's order
	high, low  int // bits: those before, and those after this scan are missing
	run        int // blocks that are yet to be skipped: EOBRUN
	mcu        int // MCUs that are read
}

// scan reads the header of a scan.
func (d *decoder) scan(s []byte) (*scan, error) {
	if len(s) < 1 || d.components == nil {
		return nil, errors.New("a scan before the frame of a JPEG")
	}
	n := int(s[0])
	if n < 1 || n > 4 || len(s) < 4+2*n {
		return nil, io.ErrUnexpectedEOF
	}
	sc := &scan{decoder: d, from: int(s[1+2*n]), to: int(s[2+2*n]), high: int(s[3+2*n] >> 4), low: int(s[3+2*n] & 15)}
	if !d.progressive {
		sc.from, sc.to, sc.high, sc.low = 0, 63, 0, 0
	}
	if sc.to > 63 || sc.from > sc.to || sc.low > 13 || sc.from > 0 && n > 1 || d.progressive && sc.from == 0 && sc.to > 0 {
		return nil, errors.New("a scan of wrong coefficients in a JPEG")
	}
	blocks := 0
	for i := range n {
		id, tables := int(s[1+2*i]), s[2+2*i]
		for _, c := range d.components {
			if c.id != id || slices.Contains(sc.components, c) {
				continue
			}
			if err := sc.prepare(c, tables); err != nil {
				return nil, err
			}
			sc.components = append(sc.components, c)
			blocks += c.h * c.v
			break
		}
	}
	if len(sc.components) != n || n > 1 && blocks > 10 {
		return nil, errors.New("a scan of wrong components in a JPEG")
	}
	return sc, nil
}

// prepare gives a component the tables of the scan.
func (s *scan) prepare(c *component, tables byte) error {
	c.dc, c.ac, c.predictor = s.huffman[0][tables>>4&3], s.huffman[1][tables&3], 0
	if s.from == 0 && s.high == 0 && c.dc == nil || s.to > 0 && c.ac == nil {
		return errors.New("a Huffman table is missing in a JPEG")
	}
	if c.dequantizer != nil {
		return nil
	}
	if s.quantizers[c.table] == nil {
		return errors.New("a quantization table is missing in a JPEG")
	}
	c.dequantizer = newDequantizer(s.quantizers[c.table])
	return nil
}

// next goes to the next MCU, over a restart marker if there is one.
func (s *scan) next() error {
	if s.interval > 0 && s.mcu > 0 && s.mcu%s.interval == 0 {
		if err := s.bits.restart(); err != nil {
			return err
		}
		for _, c := range s.components {
			c.predictor = 0
		}
		s.run = 0
	}
	s.mcu++
	return nil
}

// row reads a row of MCUs of a sequential picture that has a single scan.
func (s *scan) row(b *band) error {
	clear(b.blocks)
	at := 0
	for range s.components[0].stride / s.components[0].h {
		if err := s.next(); err != nil {
			return err
		}
		for _, c := range s.components {
			for range c.h * c.v {
				last, err := s.sequential(c, &b.blocks[at])
				if err != nil {
					return err
				}
				b.last[at] = uint8(min(last, 63))
				at++
			}
		}
	}
	return s.bits.overrun()
}

// read reads the coefficients of a scan, to be transformed when all scans are read. In a scan
// of one component an MCU is a block, and only those that hold the picture are coded.
func (s *scan) read() error {
	for _, c := range s.components {
		if c.coefficients == nil {
			c.coefficients = make([][][64]int16, c.rows)
		}
	}
	first := s.components[0]
	single := len(s.components) == 1
	across, down := first.stride/first.h, first.rows/first.v
	if single {
		across, down = first.across, first.down
	}
	for y := range down {
		for x := range across {
			if err := s.next(); err != nil {
				return err
			}
			if single {
				if err := s.coefficients(first, first.block(x, y)); err != nil {
					return err
				}
				continue
			}
			for _, c := range s.components {
				for v := range c.v {
					for h := range c.h {
						if err := s.coefficients(c, c.block(x*c.h+h, y*c.v+v)); err != nil {
							return err
						}
					}
				}
			}
		}
	}
	return s.bits.overrun()
}

// block returns the coefficients of a block. A row has room when its first one is read.
func (c *component) block(x, y int) *[64]int16 {
	row := c.coefficients[y]
	if row == nil {
		row = make([][64]int16, c.stride)
		c.coefficients[y] = row
	}
	return &row[x]
}
