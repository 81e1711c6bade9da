package tiff

import (
	"bytes"
	"compress/zlib"
	"io"

	"github.com/klauspost/compress/zstd"
)

// inflaters are decoders of deflate and zstd, which the chunks of a page use one after the
// other: each holds buffers that are much larger than a small chunk.
type inflaters struct {
	zlib io.ReadCloser
	zstd *zstd.Decoder
}

func (f *inflaters) deflate(src []byte) (io.Reader, error) {
	if f.zlib != nil {
		return f.zlib, f.zlib.(zlib.Resetter).Reset(bytes.NewReader(src), nil)
	}
	var err error
	f.zlib, err = zlib.NewReader(bytes.NewReader(src))
	return f.zlib, err
}

// zstandard reads a chunk of which limit bytes are wanted.
func (f *inflaters) zstandard(src []byte, limit int) (io.Reader, error) {
	narrow(src, limit)
	options := []zstd.DOption{zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(uint64(window(src)))}
	if f.zstd != nil {
		return f.zstd, f.zstd.ResetWithOptions(bytes.NewReader(src), options[2])
	}
	var err error
	f.zstd, err = zstd.NewReader(bytes.NewReader(src), options...)
	return f.zstd, err
}

// narrow makes the window of a zstd frame no larger than what is wanted of it, or than a block:
// encoders that do not know how much will come claim up to 128 MB, whatever comes.
func narrow(frame []byte, limit int) {
	if len(frame) < 6 || string(frame[:4]) != "\x28\xb5\x2f\xfd" || frame[4]&(1<<5) != 0 { // one segment: its size is the window
		return
	}
	const block = 128 << 10
	for exponent := byte(7); exponent < frame[5]>>3; exponent++ {
		if size := 1024 << exponent; size >= max(limit, block) {
			frame[5] = exponent << 3
			return
		}
	}
}

// window bounds what a chunk can make its decoder hold in order to look back.
func window(src []byte) int { return max(8<<20, 3*len(src)) }
