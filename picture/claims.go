package picture

import (
	"bufio"
	"compress/zlib"
	"encoding/binary"
	"image"
	"image/color"
	"io"
)

// believed refuses a PNG or BMP file whose header claims pixels that do not come: the decoders
// make room for all of them at once. What takes no more than the file and a little is not looked
// at, so that few pictures are read twice. The source is somewhere in the file afterwards.
func (s *seekable) believed(header image.Config, format string) error {
	pixels := int64(header.Width) * int64(header.Height)
	size := int64(4) // of a pixel in memory
	switch header.ColorModel {
	case color.GrayModel:
		size = 1
	case color.Gray16Model:
		size = 2
	case color.RGBA64Model, color.NRGBA64Model:
		size = 8
	default:
		if _, ok := header.ColorModel.(color.Palette); ok {
			size = 1
		}
	}
	if pixels*size <= 4*s.size+16<<20 {
		return nil
	}
	cut := &Error{Kind: ErrTruncated, Reason: "the pixels end too early"}
	switch format {
	case "bmp":
		if least := min(size, 3) * pixels; least > s.size {
			return cut
		}
	case "png":
		if err := s.rewind(); err != nil {
			return err
		}
		least, err := pngBytes(s, pixels)
		if err != nil {
			return decodeError(err, s.ended)
		}
		if !least {
			return cut
		}
	}
	return nil
}

// pngBytes reports whether the compressed data of a PNG file expands to the bytes of so many
// pixels.
func pngBytes(r io.Reader, pixels int64) (bool, error) {
	in := bufio.NewReader(r)
	head := make([]byte, 33)
	if _, err := io.ReadFull(in, head); err != nil {
		return false, err
	}
	samples := map[byte]int64{2: 3, 4: 2, 6: 4}[head[25]]
	need := pixels * max(samples, 1) * int64(head[24]) / 8
	z, err := zlib.NewReader(bufio.NewReader(&pngData{r: in}))
	if err != nil {
		return false, err
	}
	n, err := io.CopyN(io.Discard, z, need)
	return n == need, ignoreEOF(err)
}

func ignoreEOF(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil
	}
	return err
}

// pngData reads the data of the IDAT chunks of a PNG file, whose header has been read.
type pngData struct {
	r    *bufio.Reader
	left int64
	in   bool // whether a chunk of data has been seen
}

func (p *pngData) Read(b []byte) (int, error) {
	for p.left == 0 {
		if p.in {
			if _, err := p.r.Discard(4); err != nil { // checksum
				return 0, err
			}
		}
		var head [8]byte
		if _, err := io.ReadFull(p.r, head[:]); err != nil {
			return 0, err
		}
		length := int64(binary.BigEndian.Uint32(head[:]))
		if string(head[4:]) == "IDAT" {
			p.in, p.left = true, length
			continue
		}
		if p.in {
			return 0, io.EOF
		}
		if _, err := io.CopyN(io.Discard, p.r, length+4); err != nil {
			return 0, err
		}
	}
	n, err := p.r.Read(b[:min(int64(len(b)), p.left)])
	p.left -= int64(n)
	return n, err
}
