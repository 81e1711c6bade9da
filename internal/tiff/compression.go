package tiff

import (
	"errors"
	"fmt"
	"io"
	"math/bits"
)

// Values of the tag Compression.
const (
	compressNone       = 1
	compressCCITT      = 2
	compressFax3       = 3
	compressFax4       = 4
	compressLZW        = 5
	CompressOldJPEG    = 6
	CompressJPEG       = 7
	compressAdobe      = 8
	compressCCITTWords = 32771
	compressPackBits   = 32773
	compressDeflate    = 32946
	compressLZMA       = 34925
	compressZstd       = 50000
	CompressWebP       = 50001
)

// others are codecs that are known but not read.
var others = map[int]string{
	9: "JBIG", 10: "JBIG", 32766: "NeXT", 32809: "ThunderScan", 33003: "JPEG 2000", 33004: "JPEG 2000", 33005: "JPEG 2000",
	34712: "JPEG 2000", 34661: "JBIG", 34676: "SGI LogLuv", 34677: "SGI LogLuv", 34713: "Nikon NEF", 34887: "LERC", 34892: "lossy DNG",
	34933: "PNG", 34934: "JPEG XR", 22610: "JPEG XR", 50002: "JPEG XL", 52546: "JPEG XL",
}

// A Codec decodes a picture inside of a TIFF file to rows of 8-bit samples. Colours
// of the given kind become RGB if they are YCbCr, and stay as they are otherwise. It must
// refuse a picture that is much larger than it is expected to be.
type Codec func(stream []byte, colours Photometric, maxWidth, maxHeight int) (pix []byte, width, height, samples int, err error)

// decompress appends the pixels of a chunk, up to limit bytes in all.
func (r *reader) decompress(dst, src []byte, limit, rows int) ([]byte, error) {
	if r.fillOrder == 2 {
		for i, b := range src {
			src[i] = bits.Reverse8(b)
		}
	}
	switch r.Compression {
	case compressNone:
		return append(dst, src[:min(len(src), limit)]...), nil
	case compressCCITT, compressCCITTWords, compressFax3, compressFax4:
		return r.unfax(dst, src, limit, rows)
	case compressLZW:
		return unLZW(dst, src, limit)
	case compressPackBits:
		return unPackBits(dst, src, limit), nil
	case compressAdobe, compressDeflate:
		d, err := r.deflate(src)
		if err != nil {
			return dst, err
		}
		return readUpTo(dst, d, limit)
	case compressZstd:
		d, err := r.zstandard(src, limit)
		if err != nil {
			return dst, err
		}
		return readUpTo(dst, d, limit)
	case compressLZMA:
		d, err := newXZ(src, limit)
		if err != nil {
			return dst, err
		}
		return readUpTo(dst, d, limit)
	}
	if name, ok := others[r.Compression]; ok {
		return dst, fmt.Errorf("compression %d (%s): %w; save it with LZW or deflate", r.Compression, name, ErrUnsupported)
	}
	return dst, fmt.Errorf("compression %d: %w; save it with LZW or deflate", r.Compression, ErrUnsupported)
}

// readUpTo appends what r gives, up to limit bytes in all. An error after enough bytes is of
// no interest.
func readUpTo(dst []byte, r io.Reader, limit int) ([]byte, error) {
	for len(dst) < limit {
		if len(dst) == cap(dst) {
			dst = grow(dst, min(4096, limit-len(dst)), limit)
		}
		n, err := r.Read(dst[len(dst):min(cap(dst), limit)])
		dst = dst[:len(dst)+n]
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return dst, nil // the caller sees that it is too short
		case err != nil && len(dst) < limit:
			return dst, err
		}
	}
	return dst, nil
}
