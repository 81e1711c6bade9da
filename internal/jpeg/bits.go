package jpeg

import (
	"errors"
	"io"
)

var errCode = errors.New("a damaged Huffman code in a JPEG")

// bitReader reads segments, and in scans bits up to the next marker.
type bitReader struct {
	data []byte
	at   int
	held uint64 // the low count bits are unread
	// count of held bits; pad of them are zeros beyond the marker
	count, pad int
}

// marker finds the next marker.
func (b *bitReader) marker() (byte, bool) {
	b.held, b.count, b.pad = 0, 0, 0
	for ; b.at+1 < len(b.data); b.at++ {
		if m := b.data[b.at+1]; b.data[b.at] == 0xff && m != 0 && m != 0xff {
			b.at += 2
			return m, true
		}
	}
	return 0, false
}

func (b *bitReader) segment() ([]byte, error) {
	if len(b.data)-b.at < 2 {
		return nil, io.ErrUnexpectedEOF
	}
	n := int(b.data[b.at])<<8 | int(b.data[b.at+1])
	if n < 2 || n > len(b.data)-b.at {
		return nil, io.ErrUnexpectedEOF
	}
	s := b.data[b.at+2 : b.at+n]
	b.at += n
	return s, nil
}

// fill holds at least 25 bits, with zeros where a marker or the end comes.
func (b *bitReader) fill() {
	for b.count <= 48 {
		next := byte(0)
		switch {
		case b.at >= len(b.data), b.data[b.at] == 0xff && (b.at+1 >= len(b.data) || b.data[b.at+1] != 0):
			b.pad += 8
		case b.data[b.at] == 0xff:
			next = 0xff
			b.at += 2
		default:
			next = b.data[b.at]
			b.at++
		}
		b.held = b.held<<8 | uint64(next)
		b.count += 8
	}
}

// bits reads n bits, at most 16.
func (b *bitReader) bits(n int) (int, error) {
	if b.count < n {
		b.fill()
	}
	b.count -= n
	v := int(b.held>>b.count) & (1<<n - 1)
	if b.count < b.pad {
		return 0, io.ErrUnexpectedEOF
	}
	return v, nil
}

// extended reads a number of n bits whose first bit says its sign (F.2.2.1).
func (b *bitReader) extended(n int) (int, error) {
	if n == 0 {
		return 0, nil
	}
	v, err := b.bits(n)
	if v < 1<<(n-1) {
		v += -1<<n + 1
	}
	return v, err
}

// huffman maps the next 16 bits to a symbol.
type huffman struct {
	symbols [256]uint8
	first   [17]int32 // of each length: the least code
	last    [17]int32 // and the one after the greatest
	offset  [17]int32 // of its symbol
}

func newHuffman(counts []byte, symbols []byte) (*huffman, error) {
	h := &huffman{}
	copy(h.symbols[:], symbols)
	code, at := int32(0), int32(0)
	for n := 1; n <= 16; n++ {
		h.first[n], h.offset[n] = code, at
		code, at = code+int32(counts[n-1]), at+int32(counts[n-1])
		h.last[n] = code
		if code > 1<<n {
			return nil, errors.New("a wrong Huffman table in a JPEG")
		}
		code <<= 1
	}
	return h, nil
}

func (b *bitReader) symbol(h *huffman) (int, error) {
	if b.count < 16 {
		b.fill()
	}
	next := int32(b.held>>(b.count-16)) & 0xffff
	for n := 1; n <= 16; n++ {
		if code := next >> (16 - n); code < h.last[n] && code >= h.first[n] {
			if b.count -= n; b.count < b.pad {
				return 0, io.ErrUnexpectedEOF
			}
			return int(h.symbols[(h.offset[n]+code-h.first[n])&255]), nil
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
