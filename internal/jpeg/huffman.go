package jpeg

import (
	"errors"
	"io"
)

// look is the number of bits that tables of Huffman codes are indexed with.
const look = 10

// A huffman table decodes symbols. That of a coefficient is 16·(zeros before it) + (its bits).
type huffman struct {
	// codes holds, by the next bits, a symbol in the high byte and the length of its code; 0
	// for longer codes.
	codes [1 << look]uint16
	// numbers holds, by the next bits, what they say if they hold a coefficient's number, too:
	// the number in the high 16 bits, then 8 bits of zeros before it, then the length of both.
	// It is 0 if they do not.
	numbers [1 << look]uint32

	symbols [256]uint8
	last    [17]int32 // of each length: the code after the greatest
	offset  [17]int32 // of each length: the symbol of code 0
}

func newHuffman(counts []byte, symbols []byte) (*huffman, error) {
	h := &huffman{}
	copy(h.symbols[:], symbols)
	code, at := int32(0), int32(0)
	for n := 1; n <= 16; n++ {
		h.offset[n] = at - code
		for range counts[n-1] {
			if code >= 1<<n {
				return nil, errors.New("a wrong Huffman table in a JPEG")
			}
			if n <= look {
				for i := code << (look - n); i < (code+1)<<(look-n); i++ {
					h.codes[i] = uint16(symbols[at])<<8 | uint16(n)
				}
			}
			code, at = code+1, at+1
		}
		h.last[n] = code
		code <<= 1
	}
	for i, c := range h.codes {
		length, size := int(c&255), int(c>>8&15)
		if size == 0 || length+size > look {
			continue
		}
		v := i >> (look - length - size) & (1<<size - 1)
		if v < 1<<(size-1) {
			v -= 1<<size - 1
		}
		h.numbers[i] = uint32(v)<<16 | uint32(c>>12)<<8 | uint32(length+size)
	}
	return h, nil
}

// symbol reads a symbol. Up to 40 more bits are held.
func (b *bitReader) symbol(h *huffman) (int, error) {
	if b.count < 56 {
		b.fill()
	}
	if c := h.codes[b.held>>(64-look)]; c != 0 {
		n := uint(c & 255)
		b.held <<= n & 63
		b.count -= n
		return int(c >> 8), nil
	}
	return b.long(h)
}

// long reads a symbol with a code of more than look bits.
func (b *bitReader) long(h *huffman) (int, error) {
	for n := uint(look + 1); n <= 16; n++ {
		if code := int32(b.held >> (64 - n)); code < h.last[n] {
			b.held <<= n
			b.count -= n
			return int(h.symbols[uint8(h.offset[n]+code)]), nil
		}
	}
	return 0, errCode
}

func (d *decoder) huffmanTables(s []byte) error {
	for len(s) > 0 {
		if len(s) < 17 {
			return io.ErrUnexpectedEOF
		}
		class, id, n := s[0]>>4, s[0]&15, 0
		for _, c := range s[1:17] {
			n += int(c)
		}
		if class > 1 || id > 3 || n > 256 {
			return errors.New("a wrong Huffman table in a JPEG")
		}
		if len(s) < 17+n {
			return io.ErrUnexpectedEOF
		}
		h, err := newHuffman(s[1:17], s[17:17+n])
		if err != nil {
			return err
		}
		d.huffman[class][id] = h
		s = s[17+n:]
	}
	return nil
}
