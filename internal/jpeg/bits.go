package jpeg

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
)

var errCode = errors.New("a damaged Huffman code in a JPEG")

// padding is the number of zeros behind the coded data, more than a block can take: 64 codes of
// 16 bits with numbers of 16 bits, and what fill reads in advance.
const padding = 64*4 + 16

// A bitReader reads the bits of a scan.
type bitReader struct {
	data  []byte // without stuffed bytes and restart markers, and with padding
	ends  []int  // in data: the ends of the restart intervals, the last one that of the scan
	cut   bool   // the file ends with the scan
	at    int    // next byte to hold
	held  uint64 // the next bits, from the highest on
	count uint   // of held bits, at least
}

// load reads a scan from the beginning of the file's data and returns its length there.
func (b *bitReader) load(file []byte) int {
	b.data, b.ends, b.cut = b.data[:0], b.ends[:0], false
	b.at, b.held, b.count = 0, 0, 0
	length := 0
	for {
		n := bytes.IndexByte(file[length:], 0xff)
		if n < 0 {
			n = len(file) - length
		}
		b.data = append(b.data, file[length:length+n]...)
		length += n
		next := length + 1
		for next < len(file) && file[next] == 0xff { // fill bytes
			next++
		}
		switch {
		case next >= len(file):
			b.cut = true
		case file[next] == 0:
			b.data = append(b.data, 0xff)
			length = next + 1
			continue
		case file[next] >= 0xd0 && file[next] <= 0xd7:
			b.ends = append(b.ends, len(b.data))
			length = next + 1
			continue
		}
		b.ends = append(b.ends, len(b.data))
		b.data = append(b.data, make([]byte, padding)...)
		return length
	}
}

// overrun returns an error if bits beyond the restart interval were read.
func (b *bitReader) overrun() error {
	if 8*b.at-int(b.count) <= 8*b.ends[0] {
		return nil
	}
	return b.short()
}

func (b *bitReader) short() error {
	if b.cut && len(b.ends) == 1 {
		return io.ErrUnexpectedEOF
	}
	return errCode
}

// restart goes to the next restart interval.
func (b *bitReader) restart() error {
	if err := b.overrun(); err != nil {
		return err
	}
	if len(b.ends) == 1 {
		return b.short()
	}
	b.at, b.held, b.count = b.ends[0], 0, 0
	b.ends = b.ends[1:]
	return nil
}

// ready returns an error unless the bits of a block can be read without further checks.
func (b *bitReader) ready() error {
	if b.at <= b.ends[len(b.ends)-1]+8 {
		return nil
	}
	return b.short()
}

// fill holds at least 56 bits. Bits beyond count are held already or 0.
func (b *bitReader) fill() {
	b.held |= binary.BigEndian.Uint64(b.data[b.at:]) >> (b.count & 63)
	b.at += int(63-b.count) >> 3
	b.count |= 56
}

// bits reads n bits, at most 16.
func (b *bitReader) bits(n uint) int {
	if b.count < n {
		b.fill()
	}
	v := int(b.held >> 1 >> ((63 - n) & 63))
	b.held <<= n & 63
	b.count -= n
	return v
}

// number reads a number of n bits, at most 16, whose first bit says its sign (F.2.2.1).
func (b *bitReader) number(n uint) int {
	v := b.bits(n)
	if n > 0 && v < 1<<(n-1) {
		v -= 1<<n - 1
	}
	return v
}
