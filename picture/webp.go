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
// its canvas: nil if it is no animated WebP.
func firstFrame(r io.Reader, o Options) (frame *image.RGBA, canvas image.Rectangle, err error) {
	kind, chunks, err := riff.NewReader(r)
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
			body, err := io.ReadAll(data)
			if err != nil || len(body) < 16 {
				return nil, canvas, &Error{Kind: ErrTruncated, Reason: "the first frame of an animation is cut", Err: err}
			}
			at := image.Pt(2*three(body), 2*three(body[3:]))
			size := image.Pt(1+three(body[6:]), 1+three(body[9:]))
			img, err := webp.Decode(bytes.NewReader(still(body[16:], size)))
			if err != nil {
				return nil, canvas, &Error{Kind: ErrCorrupt, Reason: err.Error(), Err: err}
			}
			opaque := upright.apply(func() rowReader { return rgbaRowsOf(img, true) }, img.Bounds(), img.Bounds())
			opaque.Rect = opaque.Rect.Add(at)
			return opaque, canvas, nil
		}
	}
}

// three reads 24 bits.
func three(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }

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
