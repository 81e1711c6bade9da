package tiff

import "errors"

var errFax = errors.New("CCITT data is damaged")

// unfax appends rows of CCITT codes (ITU-T T.4 and T.6) with a bit per pixel, 0 for white,
// which is what the codes themselves call white.
func (p *Page) unfax(dst, src []byte, limit, rows int) ([]byte, error) {
	if p.Bits != 1 || p.Samples > 1 && !p.planar {
		return dst, errors.New("CCITT codes of samples that are not of one bit")
	}
	d := &fax{bits: faxBits{src: src}, width: p.chunkW}
	d.reference, d.current = []int{d.width, d.width}, nil
	flat := p.Compression == compressCCITT || p.Compression == compressCCITTWords
	for y := range rows {
		if len(dst) >= limit {
			break
		}
		d.current = d.current[:0]
		var err error
		switch {
		case p.Compression == compressFax4:
			if d.bits.peek(12) == 1 { // end of the block
				return dst, nil
			}
			err = d.twoDimensional()
		case flat:
			err = d.oneDimensional()
			if p.Compression == compressCCITTWords {
				d.bits.align(16)
			} else {
				d.bits.align(8)
			}
		default:
			one := d.endOfLine(p.t4Options&1 != 0, y == 0)
			if d.bits.done() {
				return dst, nil
			}
			if one {
				err = d.oneDimensional()
			} else {
				err = d.twoDimensional()
			}
		}
		if err != nil {
			if d.bits.done() {
				return dst, nil // the caller sees that it is too short
			}
			return dst, err
		}
		dst = d.draw(dst)
		d.reference, d.current = append(d.current, d.width, d.width), d.reference
	}
	return dst, nil
}

// fax decodes rows. A row is where its colour changes, from white at 0: rising places up
// to width.
type fax struct {
	bits               faxBits
	width              int
	reference, current []int
}

// endOfLine passes over the code between rows and reports whether the next row has codes
// of one dimension.
func (d *fax) endOfLine(mixed, first bool) bool {
	// Zeros may fill up a byte before the code 000000000001.
	at := d.bits.at
	for !d.bits.done() && d.bits.peek(11) == 0 && d.bits.peek(12) == 0 {
		d.bits.at++
	}
	if d.bits.peek(12) != 1 { // some writers leave it out
		d.bits.at = at
		return !mixed || first
	}
	d.bits.at += 12
	if !mixed {
		return true
	}
	d.bits.at++
	return d.bits.bit(d.bits.at-1) == 1
}

// oneDimensional reads runs of white and black in turn.
func (d *fax) oneDimensional() error {
	at, colour := 0, 0
	for at < d.width {
		n, err := d.run(colour)
		if err != nil {
			return err
		}
		if at += n; at > d.width {
			return errFax
		}
		d.change(at)
		colour ^= 1
	}
	return nil
}

// run reads the length of a run: codes of multiples of 64, and one below.
func (d *fax) run(colour int) (int, error) {
	total := 0
	for {
		entry := runs[colour][d.bits.peek(maxCode)]
		if entry.bits == 0 || d.bits.done() {
			return 0, errFax
		}
		d.bits.at += int(entry.bits)
		if total += int(entry.run); total > d.width {
			return 0, errFax
		}
		if entry.run < 64 {
			return total, nil
		}
	}
}

// twoDimensional reads a row by its differences to the one above.
func (d *fax) twoDimensional() error {
	a0, colour, b := -1, 0, 0
	for a0 < d.width {
		// b1 is the first change right of a0 in the row above to the other colour than a0's.
		for b > 0 && d.reference[b-1] > a0 {
			b--
		}
		for b < len(d.reference)-2 && (d.reference[b] <= a0 || b&1 != colour) {
			b++
		}
		b1, b2 := d.reference[b], d.reference[min(b+1, len(d.reference)-1)]
		code := d.bits.peek(7)
		if d.bits.done() {
			return errFax
		}
		var shift, length int
		switch {
		case code>>6 == 1:
			shift, length = 0, 1
		case code>>4 == 3:
			shift, length = 1, 3
		case code>>4 == 2:
			shift, length = -1, 3
		case code>>4 == 1: // horizontal: two runs
			d.bits.at += 3
			first, err := d.run(colour)
			if err != nil {
				return err
			}
			second, err := d.run(colour ^ 1)
			if err != nil {
				return err
			}
			at := max(a0, 0) + first
			if at+second > d.width {
				return errFax
			}
			d.change(at)
			d.change(at + second)
			a0 = at + second
			continue
		case code>>3 == 1: // pass
			d.bits.at += 4
			a0 = b2
			continue
		case code>>1 == 3:
			shift, length = 2, 6
		case code>>1 == 2:
			shift, length = -2, 6
		case code == 3:
			shift, length = 3, 7
		case code == 2:
			shift, length = -3, 7
		default:
			return errFax
		}
		d.bits.at += length
		at := b1 + shift
		if at < max(a0, 0) || at > d.width {
			return errFax
		}
		d.change(at)
		a0, colour = at, colour^1
	}
	return nil
}

// change notes that the colour changes at a place. Places beyond the last pixel do not
// count, nor do runs without pixels.
func (d *fax) change(at int) {
	switch last := len(d.current) - 1; {
	case at >= d.width:
	case last >= 0 && d.current[last] == at:
		d.current = d.current[:last]
	default:
		d.current = append(d.current, at)
	}
}

// draw appends the row in bits.
func (d *fax) draw(dst []byte) []byte {
	start := len(dst)
	for range (d.width + 7) / 8 {
		dst = append(dst, 0)
	}
	row := dst[start:]
	for i := 0; i < len(d.current); i += 2 {
		to := d.width
		if i+1 < len(d.current) {
			to = d.current[i+1]
		}
		for x := d.current[i]; x < to; x++ {
			row[x/8] |= 0x80 >> (x % 8)
		}
	}
	return dst
}

// faxBits reads codes, zeros beyond the end.
type faxBits struct {
	src []byte
	at  int
}

func (b *faxBits) bit(i int) int {
	if i/8 >= len(b.src) {
		return 0
	}
	return int(b.src[i/8]>>(7-i%8)) & 1
}

// peek returns the next n bits, at most 16.
func (b *faxBits) peek(n int) int {
	v := 0
	for i := range 3 {
		v <<= 8
		if at := b.at/8 + i; at < len(b.src) {
			v |= int(b.src[at])
		}
	}
	return v >> (24 - n - b.at%8) & (1<<n - 1)
}

func (b *faxBits) done() bool { return b.at >= 8*len(b.src) }

func (b *faxBits) align(n int) { b.at = (b.at + n - 1) / n * n }
