package picture

import (
	"bufio"
	"compress/lzw"
	"compress/zlib"
	"encoding/binary"
	"image"
	"image/color"
	"io"
)

// errCut is the error of a picture whose header claims more pixels than follow.
func errCut() error { return &Error{Kind: ErrTruncated, Reason: "the pixels end too early"} }

// costly reports whether so many bytes are more than a header is believed for: a multiple of the file's
// size, and a little.
func costly(bytes, size int64) bool { return bytes > 4*size+16<<20 }

// believed refuses a PNG, BMP, GIF or WebP file whose header claims pixels that do not come: the
// decoders make room for all of them at once. What is not costly is not looked at, so that few
// pictures are read twice. The source is somewhere in the file afterwards.
func (s *seekable) believed(header image.Config, format string) error {
	pixels := int64(header.Width) * int64(header.Height)
	size := int64(4) // of a pixel in memory
	switch header.ColorModel {
	case color.GrayModel:
		size = 1
	case color.Gray16Model, color.YCbCrModel:
		size = 2
	case color.RGBA64Model, color.NRGBA64Model:
		size = 8
	default:
		if _, ok := header.ColorModel.(color.Palette); ok {
			size = 1
		}
	}
	bytes := pixels * size
	if format == "webp" {
		if err := s.rewind(); err != nil {
			return err
		}
		bytes += webpBytes(s)
	}
	if !costly(bytes, s.size) {
		return nil
	}
	if err := s.rewind(); err != nil {
		return err
	}
	whole := true
	var err error
	switch format {
	case "bmp":
		whole = min(size, 3)*pixels <= s.size
	case "png":
		whole, err = pngBytes(s, pixels)
	case "gif":
		whole, err = gifPixels(bufio.NewReader(s))
	case "webp":
		whole, err = webpPixels(s, s.size)
	}
	if err != nil {
		return decodeError(err, s.ended)
	}
	if !whole {
		return errCut()
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
	return expands(z, need)
}

// expands reports whether r has n bytes.
func expands(r io.Reader, n int64) (bool, error) {
	got, err := io.CopyN(io.Discard, r, n)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = nil
	}
	return got == n, err
}

// gifPixels reports whether the first frame of a GIF file has the pixels that it claims.
func gifPixels(r *bufio.Reader) (bool, error) {
	frame, err := gifStart(&discarding{r})
	if err != nil {
		return false, err
	}
	bits, err := r.ReadByte()
	if err != nil || bits < 2 || bits > 8 {
		return true, nil // the decoder says what is wrong
	}
	return expands(lzw.NewReader(&gifData{r: r}, lzw.LSB, int(bits)), int64(frame.width)*int64(frame.height))
}

// gifData reads the parts of a block of a GIF file up to the empty one.
type gifData struct {
	r    *bufio.Reader
	left int
	end  bool
}

func (g *gifData) ReadByte() (byte, error) {
	var one [1]byte
	_, err := io.ReadFull(g, one[:])
	return one[0], err
}

func (g *gifData) Read(b []byte) (int, error) {
	if g.left == 0 && !g.end {
		n, err := g.r.ReadByte()
		if err != nil {
			return 0, err
		}
		g.left, g.end = int(n), n == 0
	}
	if g.end {
		return 0, io.EOF
	}
	n, err := g.r.Read(b[:min(len(b), g.left)])
	g.left -= n
	return n, err
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
