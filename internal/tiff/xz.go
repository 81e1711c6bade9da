package tiff

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/ulikunitz/xz/lzma"
)

// newXZ reads the first block of an .xz file of LZMA2 data, which libtiff puts behind a
// delta filter. Checksums are left unread.
func newXZ(src []byte, limit int) (io.Reader, error) {
	damaged := errors.New("LZMA data is damaged")
	if len(src) < 24 || string(src[:6]) != "\xfd7zXZ\x00" || src[12] == 0 {
		return nil, damaged
	}
	block := src[12:]
	size := (int(block[0]) + 1) * 4
	if len(block) < size {
		return nil, damaged
	}
	header, flags := block[2:size-4], block[1]
	for _, bit := range []byte{0x40, 0x80} { // compressed and uncompressed size
		if flags&bit != 0 {
			_, n := binary.Uvarint(header)
			if n <= 0 {
				return nil, damaged
			}
			header = header[n:]
		}
	}
	distance, dictionary := 0, 0
	for range flags&3 + 1 {
		id, n := binary.Uvarint(header)
		if n <= 0 || len(header) < n+2 {
			return nil, damaged
		}
		length, property := int(header[n]), header[n+1]
		switch {
		case id == 3 && length == 1:
			distance = int(property) + 1
		case id == 0x21 && length == 1 && property <= 40:
			dictionary = (2 | int(property)&1) << (property/2 + 11)
		default:
			return nil, fmt.Errorf("LZMA filter %#x: %w", id, ErrUnsupported)
		}
		header = header[n+2:]
	}
	if dictionary == 0 {
		return nil, damaged
	}
	// More than the chunk's own bytes are never looked back at.
	r, err := lzma.Reader2Config{DictCap: max(min(dictionary, limit, window(src)), lzma.MinDictCap)}.NewReader2(bytes.NewReader(block[size:]))
	if err != nil || distance == 0 {
		return r, err
	}
	return &undelta{r: r, past: make([]byte, distance)}, nil
}

// undelta adds to each byte the one that came a distance before.
type undelta struct {
	r    io.Reader
	past []byte
	at   int
}

func (u *undelta) Read(p []byte) (int, error) {
	n, err := u.r.Read(p)
	for i := range p[:n] {
		p[i] += u.past[u.at]
		u.past[u.at] = p[i]
		u.at = (u.at + 1) % len(u.past)
	}
	return n, err
}
