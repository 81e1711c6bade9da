package picture

import (
	"bytes"
	"encoding/binary"
	"image"
	"io"

	"golang.org/x/image/riff"
	"golang.org/x/image/webp"
)

// firstFrame returns the first frame of an animated WebP, which package webp refuses, and
// its canvas: nil if it is not an animated WebP.
func firstFrame(source *seekable, o Options) (frame *image.RGBA, canvas image.Rectangle, err error) {
	kind, chunks, err := riff.NewReader(source)
	if err != nil || kind != (riff.FourCC{'W', 'E', 'B', 'P'}) {
		return nil, canvas, nil
	}
	for {
		id, length, data, err := chunks.Next()
		if err != nil {
			return nil, canvas, nil
		}
		switch string(id[:]) {
		case "VP8X":
			head := make([]byte, 10)
			if _, err := io.ReadFull(data, head); err != nil || head[0]&2 == 0 { // no animation
				return nil, canvas, nil
			}
			canvas = image.Rect(0, 0, 1+three(head[4:]), 1+three(head[7:]))
			if err := o.check(image.Config{Width: canvas.Dx(), Height: canvas.Dy()}); err != nil {
				return nil, canvas, err
			}
		case "ANMF":
			if canvas.Empty() || length < 16 {
				return nil, canvas, nil
			}
			body := bytes.NewBuffer(make([]byte, 0, min(int64(length), source.size)+bytes.MinRead))
			if _, err := body.ReadFrom(data); err != nil || body.Len() < 16 {
				return nil, canvas, &Error{Kind: ErrTruncated, Reason: "the first frame of an animation is cut", Err: err}
			}
			head, chunks := body.Bytes()[:16], body.Bytes()[16:]
			at := image.Pt(2*three(head), 2*three(head[3:]))
			img, err := decodeStill(chunks, image.Pt(1+three(head[6:]), 1+three(head[9:])), at, canvas)
			if err != nil {
				return nil, canvas, decodeError(err, false)
			}
			opaque := upright.apply(func() rowReader { return rgbaRowsOf(img, true) }, img.Bounds(), img.Bounds())
			opaque.Rect = opaque.Rect.Add(at)
			return opaque, canvas, nil
		}
	}
}

// three reads 24 bits.
func three(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }

// decodeStill decodes the chunks of a frame of some size at a place of its canvas.
func decodeStill(chunks []byte, size, at image.Point, canvas image.Rectangle) (image.Image, error) {
	file := still(chunks, size)
	source := &seekable{ReadSeeker: bytes.NewReader(file), size: int64(len(file))}
	header, err := webp.DecodeConfig(source)
	if err != nil {
		return nil, err
	}
	place := image.Rectangle{Min: at, Max: at.Add(size)}
	if header.Width != size.X || header.Height != size.Y || !place.In(canvas) {
		return nil, corrupt("a frame of %d×%d pixels at %v, which claims %v of %v", header.Width, header.Height, at, size, canvas.Max)
	}
	if err := source.believed(header, "webp"); err != nil {
		return nil, err
	}
	return webp.Decode(bytes.NewReader(file))
}

// still makes a WebP of one picture of the chunks of a frame.
func still(chunks []byte, size image.Point) []byte {
	var b bytes.Buffer
	b.WriteString("RIFF\x00\x00\x00\x00WEBP")
	if bytes.HasPrefix(chunks, []byte("ALPH")) {
		head := [10]byte{0: 0x10}
		for k, v := range []int{size.X - 1, size.Y - 1} {
			head[4+3*k], head[5+3*k], head[6+3*k] = byte(v), byte(v>>8), byte(v>>16)
		}
		b.WriteString("VP8X\x0a\x00\x00\x00")
		b.Write(head[:])
	}
	b.Write(chunks)
	out := b.Bytes()
	binary.LittleEndian.PutUint32(out[4:], uint32(len(out)-8))
	return out
}
